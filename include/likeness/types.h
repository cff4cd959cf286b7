/* The values that cross the API: texts, vectors, labels, templates, claims and bindings. Plain data that owns no
 * memory. */
#ifndef LIKENESS_TYPES_H
#define LIKENESS_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include <likeness/api.h>
#include <likeness/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LK_DIM_MAX 4096
#define LK_K_MAX 4096
#define LK_THREADS_MAX 4096 /* of a device */
#define LK_K_ALL UINT32_MAX /* range search: every row at or above the threshold */

typedef enum lk_metric {
  LK_COSINE = 0, /* of the angle: exactly 1 for equal vectors, and never more */
  LK_IP = 1,     /* dot product */
  LK_L2 = 2      /* negative squared euclidean distance */
} lk_metric;

/* The type of a stored row's elements. Scores are computed from the stored values: for f16 from the halves. */
typedef enum lk_store { LK_STORE_F32 = 0, LK_STORE_F16 = 1 } lk_store;

#define LK_TEXT_MAX 255     /* bytes of a key, subject, group or model */
#define LK_METADATA_MAX 256 /* bytes of a template's metadata */
#define LK_NEVER UINT64_MAX /* of a template that does not expire */

/* A run of UTF-8 bytes, not terminated; {NULL, 0} is empty. */
typedef struct lk_text {
  const char *bytes;
  uint32_t length;
} lk_text;

typedef enum lk_element {
  LK_F32,
  LK_F64,
  LK_F16,
  LK_U8,
  LK_I8,
  LK_U16,
  LK_I16,
  LK_U32,
  LK_I32,
  LK_U64,
  LK_I64
} lk_element;

/* Input vectors: rows x dim elements, aligned or not. A row is valid if its elements are finite and its length is
 * within 2^-40 .. 2^40, or zero under ip and l2. */
typedef struct lk_vectors {
  const char *name; /* for messages: a file's path, "job 17", ... */
  const void *data;
  uint64_t rows;
  uint32_t dim;
  lk_element element;
  uint64_t stride_bytes;         /* from one row's first byte to the next row's; 0: rows are contiguous */
  uint64_t element_stride_bytes; /* from one element of a row to the next; 0: a row's elements are contiguous */
  bool big_endian;
} lk_vectors;

/* The label of a vector at enrollment. An empty text means the default: for the key the template number in decimal, or
 * another number where that is a key already; for the subject the key, for the group no group. */
typedef struct lk_label {
  lk_text key; /* unique in the gallery */
  lk_text subject;
  lk_text group;
  uint64_t tags;
  uint64_t version;    /* the client's, of this enrollment; 0: none */
  uint64_t expires_ms; /* Unix time; 0 or LK_NEVER: never */
  lk_text metadata;    /* up to LK_METADATA_MAX bytes of any kind */
} lk_label;

typedef struct lk_template {
  uint64_t number; /* assigned at enrollment, from 0, never reused */
  lk_text key;
  lk_text subject;
  lk_text group;
  uint64_t tags;
  uint64_t version;    /* the client's, of its enrollment; 0: none */
  uint64_t expires_ms; /* Unix time; LK_NEVER: never */
  lk_text metadata;    /* any bytes */
} lk_template;

/* Who makes a request, for what purpose and by what authorisation, in the words of the policy. An empty text is not
 * claimed. */
typedef struct lk_claims {
  lk_text purpose, actor, jurisdiction, case_id;
  lk_text authorisation;    /* its id */
  bool granted;             /* else it is pending */
  int64_t pending_since_ms; /* Unix time of its application; 0: not said. Whoever says it says that it is pending */
  const struct lk_signing_key *
      key; /* the actor's secret key (signing_key.h), which authenticates the actor; NULL: the actor is only asserted */
} lk_claims;

/* What a gallery is bound to: paths of up to LK_TEXT_MAX bytes; NULL: none. The other paths need a policy. */
typedef struct lk_binding {
  const char *policy;
  const char *calibration; /* for rules with max_fmr */
  const char *audit;       /* the log's folder; it has one writer at a time */
  const char *audit_key;   /* the secret key that signs the log's heads */
} lk_binding;

/* How the probes of a run are fused. A fused run gets one candidate list. A template's fused score is the largest of
 * its scores with the run's probes, or their mean: added in double in probe order, divided, rounded once to float. */
typedef enum lk_fusion { LK_FUSE_NONE = 0, LK_FUSE_MAX = 1, LK_FUSE_MEAN = 2 } lk_fusion;
#define LK_FUSED_PROBES_MAX 4096 /* in one run */

/* "none", "max", "mean", or "?" for any other number: static. LK_EINVAL: unknown name. */
LK_API const char *lk_fusion_name(lk_fusion fusion);
LK_API lk_status lk_fusion_parse(lk_text name, lk_fusion *fusion, lk_error *error);

/* "cosine", "ip", "l2", or "?": static. LK_EINVAL: unknown name. */
LK_API const char *lk_metric_name(lk_metric metric);
LK_API lk_status lk_metric_parse(const char *name, lk_metric *metric, lk_error *error);

/* "f32", "f16", or "?": static. LK_EINVAL: unknown name. */
LK_API const char *lk_store_name(lk_store store);
LK_API lk_status lk_store_parse(const char *name, lk_store *store, lk_error *error);

#ifdef __cplusplus
}
#endif

#endif
