#include "engine/cli/guide/commands.h"

#include <stddef.h>

#define END \
  { NULL, NULL, NULL }
#define DEVICE                                                                                                \
  {"--device", "NAMES", "auto, cpu or cuda:N, or several with commas between them; auto is the processor"}, { \
    "--threads", "N", "threads for each device; all processors if not given"                                  \
  }
#define FORMAT(formats) \
  { "--format", formats, "how the answer is written" }
#define OUTPUT \
  { "--output", "FILE", "write the answer into this new file; it gets its name once it is complete" }
#define REDIS                                                                  \
  {"--redis", "URL",                                                           \
   "where the queue is: unix:PATH, redis[s]://[USER@]HOST[:PORT],...[/DB] or " \
   "redis[s]+sentinel://[USER@]HOST,.../MASTER[/DB]"},                         \
  {                                                                            \
    "--password-file", "FILE", "has Redis' password in its first line"         \
  }
#define BINDING                                                                                       \
  {"--policy", "FILE", "the policy that the gallery is bound to"},                                    \
      {"--calibration", "FILE", "from `evaluate --calibration`, for rules that limit false matches"}, \
      {"--audit", "FOLDER", "the folder of the audit log"}, {                                         \
    "--audit-key", "FILE", "signs the heads of the log"                                               \
  }
#define VIEW                                                                                       \
  {"--by", "template|subject", "list each template, or each subject once, by its best template"},  \
      {"--fuse", "max|mean", "take all probes for one subject's, and give one list"},              \
      {"--tags", "BITS", "search only templates that have these tag bits, such as 6 or 0x6"},      \
      {"--mask", "BITS", "which bits --tags speaks of; the same ones if not given"},               \
      {"--keys", "FILE", "search only templates with these keys, one a line; - is stdin"},         \
      {"--subjects", "FILE", "search only templates of these subjects, one a line; - is stdin"}, { \
    "--model", "NAME", "refuse the search unless the gallery is of this model"                     \
  }

const lk_guide_option lk_guide_claims[] = {
    {"--purpose", "TEXT", "what it is for, as the policy names it"},
    {"--actor", "NAME", "who asks"},
    {"--jurisdiction", "NAME", "where"},
    {"--case", "ID", "the case that it belongs to"},
    {"--authorisation", "ID", "the warrant or order that permits it"},
    {"--granted", NULL, "the authorisation is granted"},
    {"--pending-since", "DATE", "the authorisation was asked for then"},
    {"--sign", "FILE", "the actor's secret key, which signs the request"},
    END,
};

static const lk_guide_option create_options[] = {
    {"--dim", "N", "elements of each vector, 1 to 4096"},
    {"--metric", "cosine|ip|l2", "how vectors are compared; cosine if not given"},
    {"--store", "f32|f16", "how vectors are kept; f32 if not given"},
    {"--model", "NAME", "the model that makes the vectors"},
    BINDING,
    END,
};

static const lk_guide_option bind_options[] = {
    {"--policy", "FILE", "the policy, or none"},
    {"--calibration", "FILE", "from `evaluate --calibration`, for rules that limit false matches"},
    {"--audit", "FOLDER", "the folder of the audit log"},
    {"--audit-key", "FILE", "signs the heads of the log"},
    {"--lost-audit-log", NULL, "the log that the gallery had is lost: begin a new one"},
    END,
};

static const lk_guide_option enroll_options[] = {
    {"--labels", "FILE", "csv, .npy, .npz or .txt with the keys, subjects, groups and tags; - is a csv on stdin"},
    {"--key-column", "NAME", "the csv's column with the keys; key if not given"},
    {"--replace", NULL, "replace the templates whose keys are there"},
    {"--unless-match", "T", "add nothing if a row scores T or more with a template of another subject"},
    DEVICE,
    END,
};

static const lk_guide_option delete_options[] = {
    {"--key", "KEY", "whose template"},
    {"--subject", "SUBJECT", "whose templates"},
    {"--keys", "FILE", "whose templates, one key a line; - is stdin"},
    FORMAT("table|json"),
    END,
};

static const lk_guide_option tag_options[] = {
    {"--key", "KEY", "whose template"},
    {"--keys", "FILE", "whose templates, one key a line; - is stdin"},
    {"--tags", "BITS", "the new values of the tag bits in --mask, such as 6 or 0x6"},
    {"--mask", "BITS", "which tag bits are set or cleared"},
    FORMAT("table|json"),
    END,
};

static const lk_guide_option expire_options[] = {
    {"--key", "KEY", "whose template"},
    {"--keys", "FILE", "whose templates, one key a line; - is stdin"},
    {"--at", "DATE", "when, such as 2030-01-31 or 2030-01-31T12:00:00+01:00"},
    {"--after", "TIME", "how long from now: a number and s, m, h or d"},
    {"--never", NULL, "keep them"},
    FORMAT("table|json"),
    END,
};

static const lk_guide_option compact_options[] = {FORMAT("table|json"), END};

static const lk_guide_option identify_options[] = {
    {"-k", "N|all", "candidates for each probe, 1 to 4096, or all above a threshold; 10 if not given"},
    {"--threshold", "T", "list only scores of T or more"},
    VIEW,
    DEVICE,
    FORMAT("table|csv|json"),
    OUTPUT,
    {"--stats", NULL, "print what the search did to stderr, as a line of JSON"},
    END,
};

static const lk_guide_option verify_options[] = {
    {"--subject", "SUBJECT", "whose templates each probe is compared with"},
    {"--threshold", "T", "the score that is a match"},
    FORMAT("table|csv|json"),
    OUTPUT,
    END,
};

static const lk_guide_option evaluate_options[] = {
    {"--labels", "FILE", "csv, .npy, .npz or .txt with the probes' subjects and groups; - is a csv on stdin"},
    {"--key-column", "NAME", "the csv's column with the keys; key if not given"},
    {"--fpir", "RATE", "find the threshold for this rate of false positives; 0.01 if not given"},
    {"--threshold", "T", "measure at this threshold instead"},
    {"--rank", "N", "a subject is found if it is among the first N; 1 if not given"},
    {"--calibration", "FILE", "write false match rates into this file, for policies"},
    {"--model", "NAME", "refuse the probes unless the gallery is of this model"},
    DEVICE,
    FORMAT("table|json|svg"),
    OUTPUT,
    END,
};

static const lk_guide_option dedupe_options[] = {
    {"--threshold", "T", "the least score of two templates that are duplicates"},
    {"--groups", NULL, "print groups of subjects instead of pairs"},
    DEVICE,
    FORMAT("table|csv|json"),
    OUTPUT,
    END,
};

static const lk_guide_option list_options[] = {FORMAT("table|csv|json"), OUTPUT, END};
static const lk_guide_option stat_options[] = {FORMAT("table|json"), END};

static const lk_guide_option export_options[] = {
    {"--npy", "FILE", "write the vectors into this file"},
    {"--labels", "FILE", "and their labels into this csv"},
    END,
};

static const lk_guide_option import_options[] = {BINDING, END};

static const lk_guide_option explain_options[] = {
    {"--operation", "OPERATION", "what is asked for: identify, verify, enroll, delete, export ..."},
    {"--purpose", "TEXT", "what it is for, as the policy names it"},
    {"--actor", "NAME", "who asks"},
    {"--signed", NULL, "the actor signs the request"},
    {"--jurisdiction", "NAME", "where"},
    {"--gallery", "NAME", "of which gallery"},
    {"--case", "ID", "the case that it belongs to"},
    {"--case-probes", "N", "probes that the case has had before"},
    {"--authorisation", "ID", "the warrant or order that permits it"},
    {"--granted", NULL, "the authorisation is granted"},
    {"--pending-since", "DATE", "the authorisation was asked for then"},
    {"--metric", "cosine|ip|l2", "the gallery's metric"},
    {"--model", "NAME", "the gallery's model"},
    {"--probes", "N", "probes of the request; 1 if not given"},
    {"--threshold", "T", "the threshold that is asked for"},
    {"-k", "N", "the candidates that are asked for"},
    {"--at", "DATE", "decide as if it were then"},
    FORMAT("table|json"),
    END,
};

static const lk_guide_option serve_options[] = {
    REDIS,
    DEVICE,
    {"--batch", "PROBES", "the most that one search takes; 1024 if not given"},
    {"--max-queue-delay-us", "N", "how long a job may wait for company, in microseconds; 0 if not given"},
    {"--policy", "FILE", "the policy; that of the galleries if not given"},
    {"--calibration", "FILE", "from `evaluate --calibration`, for rules that limit false matches"},
    {"--audit", "FOLDER", "the folder of the audit log"},
    {"--audit-key", "FILE", "signs the heads of the log"},
    {"--lost-audit-log", NULL, "the log that there was is lost: begin a new one"},
    {"--follow", NULL, "change no gallery: follow what other processes make of it"},
    {"--replicas", "N", "wait for N replicas of Redis before a change is answered; 0 if not given"},
    END,
};

static const lk_guide_option submit_options[] = {
    REDIS,
    {"--gallery", "NAME", "the gallery to search"},
    {"-k", "N", "candidates for each probe, 1 to 4096; 10 if not given"},
    {"--threshold", "T", "list only scores of T or more"},
    VIEW,
    {"--priority", "hi|lo", "which jobs are done first; lo if not given"},
    {"--ttl", "MS", "jobs that wait longer, in milliseconds, are not done"},
    {"--timeout", "S", "give up after so many seconds without a reply; 60 if not given"},
    {"--job-probes", "N", "probes of a job; 64 if not given"},
    {"--deployment", "ID", "of the worker's policy, for signed jobs"},
    FORMAT("table|csv|json"),
    OUTPUT,
    END,
};

static const lk_guide_option status_options[] = {
    REDIS,
    {"--gallery", "NAME", "of this gallery only; of all that have a queue if not given"},
    FORMAT("table|json"),
    END,
};

static const lk_guide_option audit_verify_options[] = {
    {"--head", "FILE", "a head that was kept elsewhere: the log must have its record"},
    {"--key", "HEX", "the public key that must have signed the heads"},
    END,
};

static const lk_guide_option audit_head_options[] = {{"--key", "FILE", "the secret key that signs the head"}, END};

const lk_guide lk_guides[] = {
    {"create", "DIR --dim N", 1, 1, "make an empty gallery", "The folder's name is the gallery's name.",
     "likeness create faces --dim 512 --model net-2", create_options, false, false},
    {"enroll", "DIR VECTORS", 2, 2, "add the rows of a file to a gallery, all or none",
     "VECTORS is .npy, .npz, .h5, .csv, .fvecs, .bvecs, .fbin or another file of vectors; FILE:NAME is one array of "
     "several; - is .npy or .npz on stdin.",
     "likeness enroll faces vectors.npy --labels labels.csv", enroll_options, true, true},
    {"list", "DIR", 1, 1, "list the templates of a gallery",
     "What --format csv writes is what `enroll --labels` reads.", "likeness list faces --format csv --output faces.csv",
     list_options, false, false},
    {"stat", "DIR", 1, 1, "show what a gallery is and how large", NULL, "likeness stat faces", stat_options, false,
     false},
    {"check", "DIR", 1, 1, "hold every byte of a gallery against its checksum", NULL, "likeness check faces",
     stat_options, false, false},
    {"identify", "DIR PROBES", 2, 2, "find who is most like each probe",
     "PROBES is a file of vectors, as for enroll; - is .npy or .npz on stdin. A score is higher the more alike two "
     "vectors are; that "
     "of l2 is the negative squared distance.",
     "likeness identify faces probes.npy -k 3 --by subject", identify_options, true, true},
    {"verify", "DIR PROBES --subject SUBJECT", 2, 2, "compare each probe with one subject",
     "PROBES is a file of vectors, as for enroll; - is .npy or .npz on stdin.",
     "likeness verify faces probes.npy --subject ada --threshold 0.36", verify_options, true, true},
    {"dedupe", "DIR --threshold T", 1, 1, "find the templates of different subjects that are alike", NULL,
     "likeness dedupe faces --threshold 0.6 --groups", dedupe_options, true, false},
    {"evaluate", "DIR PROBES --labels FILE", 2, 2, "measure error rates on labelled probes, for all and by group", NULL,
     "likeness evaluate faces probes.npy --labels probes.csv --format svg >det.svg", evaluate_options, true, true},
    {"tag", "DIR (--key KEY | --keys FILE) --tags BITS --mask BITS", 1, 1, "change the tags of templates", NULL,
     "likeness tag faces --key ada-1 --tags 2 --mask 6", tag_options, true, true},
    {"expire", "DIR (--key KEY | --keys FILE) (--at DATE | --after TIME | --never)", 1, 1, "say when templates expire",
     NULL, "likeness expire faces --keys keys.txt --after 90d", expire_options, true, true},
    {"delete", "DIR (--key KEY | --subject SUBJECT | --keys FILE)", 1, 1, "delete templates",
     "No search that begins afterwards finds them; their bytes stay in the files until `compact`.",
     "likeness delete faces --subject ada", delete_options, true, true},
    {"compact", "DIR", 1, 1, "erase the bytes of what was deleted or has expired", NULL, "likeness compact faces",
     compact_options, true, false},
    {"export", "DIR (FILE.lkg | --npy FILE --labels FILE)", 1, 2,
     "write a gallery into a file, or its vectors and labels", NULL, "likeness export faces faces.lkg", export_options,
     true, false},
    {"import", "DIR FILE.lkg", 2, 2, "make the gallery that a file holds", NULL, "likeness import faces faces.lkg",
     import_options, false, false},
    {"alias", "NAME DIR", 2, 2, "give a gallery a second name, or lead one to another gallery", NULL,
     "likeness alias current faces-v2", NULL, false, false},
    {"serve", "DIR... --redis URL", 1, 256, "answer jobs from Redis", "It ends with 0 on SIGTERM or SIGINT.",
     "likeness serve faces --redis unix:/run/redis/redis.sock", serve_options, false, false},
    {"submit", "PROBES --redis URL --gallery NAME", 1, 1, "search through Redis",
     "It prints the same bytes as identify. PROBES is a file of vectors, as for enroll; - is .npy or .npz on stdin.",
     "likeness submit probes.npy --redis redis://queue.example --gallery faces -k 3", submit_options, true, true},
    {"status", "--redis URL", 0, 0, "show who waits in the queues and who works",
     "Of each gallery: how many jobs there are of either priority, how many of them are held by workers, and for how "
     "long the oldest has been there; the workers, when their leases end, and what they hold; and what went wrong.",
     "likeness status --redis unix:/run/redis/redis.sock --format json", status_options, false, false},
    {"bind", "DIR --policy FILE|none", 1, 1, "bind a gallery to a policy and an audit log", NULL,
     "likeness bind faces --policy rules.yaml --audit audit", bind_options, false, false},
    {"policy check", "FILE", 1, 1, "read a policy and say what is wrong with it", NULL,
     "likeness policy check rules.yaml", NULL, false, false},
    {"policy explain", "FILE --operation OPERATION", 1, 1, "show how a policy decides a request, rule by rule", NULL,
     "likeness policy explain rules.yaml --operation identify --purpose spelling", explain_options, false, false},
    {"audit verify", "PATH", 1, 1, "verify that no record of a log was changed or removed", NULL,
     "likeness audit verify audit --head head.json", audit_verify_options, false, false},
    {"audit show", "PATH", 1, 1, "print the records of a log", NULL, "likeness audit show audit --format json",
     compact_options, false, false},
    {"audit head", "PATH", 1, 1, "print the head of a log, to be kept elsewhere", NULL,
     "likeness audit head audit >head.json", audit_head_options, false, false},
    {"key", "FILE", 1, 1, "make a key pair for signing: FILE and FILE.pub", NULL, "likeness key ada.key", NULL, false,
     false},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, false, false},
};

const lk_guide_exit lk_guide_exits[] = {
    {0, "done"},
    {1, "failed"},
    {2, "bad usage"},
    {3, "refused: a policy, or Redis' rights, forbid it"},
    {130, "ended by SIGINT (Ctrl-C)"},
    {143, "ended by SIGTERM"},
    {0, NULL},
};

const lk_guide_option *lk_guide_option_at(const lk_guide *guide, int number) {
  static const lk_guide_option none = END;
  const lk_guide_option *option = guide->options != NULL ? guide->options : &none;
  for (; number > 0 && option->name != NULL; number--) option++;
  if (option->name != NULL) return option;
  return guide->claims && lk_guide_claims[number].name != NULL ? &lk_guide_claims[number] : NULL;
}
