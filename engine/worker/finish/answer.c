#include "engine/worker/finish/answer.h"

#include "base/text.h"
#include "engine/queue/reply.h"
#include "engine/queue/reply_text.h"
#include "engine/worker/authorise.h"
#include "governance/decision_record.h"
#include "index/gallery/unchecked.h"

static lk_reply_part part_of(const lk_task *task, const lk_done *done) {
  return (lk_reply_part){
      .result = done->result,
      .first = task->first,
      .k = task->job.k,
      .threshold = task->job.threshold,
      .detail = task->authorisation != NULL ? task->authorisation->verdict.detail : (lk_score_detail){0}};
}

/* What the task found, if it may be told. The gallery may have changed since it was searched. */
static lk_release release_of(const lk_task *task, const lk_done *done, lk_gallery_stat *stat) {
  *stat = (lk_gallery_stat){.model = ""};
  if (task->gallery == NULL) return (lk_release){0};
  lk_gallery_stat_get_constant(task->gallery, stat);
  const lk_task_answer *answer = &task->answer;
  if (answer->text.data != NULL) return (lk_release){.epoch = answer->epoch, .total = answer->total};
  if (task->status == LK_OK)
    return (lk_release){.epoch = lk_result_epoch(done->result),
                        .searched = lk_result_searched(done->result),
                        .total = lk_result_templates(done->result)};
  lk_gallery_stat_get(task->gallery, stat);
  return (lk_release){.epoch = stat->epoch, .total = stat->templates};
}

/* NULL: the job was refused before the policy was asked, or no policy governs it. */
static json_t *decision_of(const lk_worker *worker, const lk_task *task, lk_text model, const lk_release *released,
                           lk_bytes *out) {
  lk_governance *governance = worker->options->governance;
  const lk_verdict *verdict = lk_task_verdict(task);
  if (verdict == NULL && governance != NULL) return NULL;
  json_t *decision = lk_decision_record(governance, verdict, model, released);
  if (decision == NULL) out->failed = true;
  return decision;
}

/* A reply with an error says nothing of the gallery. */
void lk_answer_encode(const lk_worker *worker, lk_task *task, const lk_done *done, lk_bytes *out) {
  lk_gallery_stat stat;
  lk_release released = release_of(task, done, &stat);
  lk_authorise_release(worker, task, done->result, &released);
  lk_reply_head head = {
      .status = task->status, .id = task->job.id, .gallery = task->job.gallery, .wait_us = task->wait_us};
  if (task->status == LK_OK) {
    head.model = lk_text_of(stat.model);
    head.epoch = released.epoch;
    head.searched = released.searched;
    head.total = released.total;
    head.compute_us = done->compute_us;
    head.probes = lk_job_lists(&task->job);
    head.text = (lk_text){.bytes = task->answer.text.data, .length = (uint32_t)task->answer.text.length};
    head.member = lk_reply_member(task->job.op);
  } else {
    head.text = lk_text_of(task->error.text);
  }
  json_t *decision = decision_of(worker, task, lk_text_of(stat.model), &released, out);
  lk_reply_part part = part_of(task, done);
  (task->job.json ? lk_reply_encode_json : lk_reply_encode)(&head, &part, decision, out);
  json_decref(decision);
}
