#ifndef LIBRARY_H
#define LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- facts ------------------------------------------------------------------------------------------ */

#define LIBRARY_MODEL "qia"     /* the model's name in Moire */
#define LIBRARY_VERSION "0.1.0" /* of Moire, which wrote this */
/* { recommend */
#define LIBRARY_ITEM_SIZE 100 /* scores of one history: items are 1 .. LIBRARY_ITEM_SIZE - 1; 0 is padding */
#define LIBRARY_LENGTH 50     /* the model reads so many items at the end of a history */
/* { tables */
#define LIBRARY_WIDTH 64 /* numbers of a row of a table of items */
/* } tables */
/* } recommend */
/* { ratings */
#define LIBRARY_ITEM_SIZE 100 /* items are 0 .. LIBRARY_ITEM_SIZE - 1: the lines of the items' names */
#define LIBRARY_LENGTH 50     /* the model reads so many of a user's last ratings */
#define LIBRARY_MAX_RATING 5  /* ratings are 1 .. LIBRARY_MAX_RATING */
/* } ratings */
/* { code */
#define LIBRARY_FEATURES 100 /* numbers that describe an item */
#define LIBRARY_LEVELS 3     /* codes of an item */
/* } code */
/* { generate */
#define LIBRARY_WORDS 32000    /* words of the model: ids from 0 to LIBRARY_WORDS - 1 */
#define LIBRARY_POSITIONS 2048 /* the model reads so many words of a row at most */
#define LIBRARY_BOS -1         /* the word that begins a text; -1: there is none */
#define LIBRARY_EOS -1         /* the word that ends a row; -1: there is none */
/* } generate */
/* { tokenizer */
#define LIBRARY_TEXT_BYTES 32 /* most bytes of text that a word adds */
/* } tokenizer */
#define LIBRARY_SLICE 8 /* rows that are computed at once; a batch may have any number */
#define LIBRARY_MAX_BATCH 1000000000
#define LIBRARY_MAX_THREADS 1024
#define LIBRARY_STACK_BYTES 65536 /* stack that a thread which calls this library, or runs its work, needs */

/* What a call came to. Whatever the arguments, a call that does not return LIBRARY_OK has left its results, a
 * state and a model as they were, but for memory that the library allocated and kept in a workspace. The
 * numbers are those of every library. */
typedef enum library_status {
  LIBRARY_OK = 0,
  LIBRARY_ERROR_NULL = 1,  /* a pointer is NULL that must not be */
  LIBRARY_ERROR_BATCH = 2, /* the batch is not from 1 to LIBRARY_MAX_BATCH, or as the call says */
  /* { recommend ratings */
  LIBRARY_ERROR_OFFSETS = 3, /* offsets are negative or fall */
  LIBRARY_ERROR_ITEM = 4,    /* an item is none of those that LIBRARY_ITEM_SIZE says */
  LIBRARY_ERROR_TOP = 5,     /* k is not from 1 to LIBRARY_ITEM_SIZE */
  LIBRARY_ERROR_SEEN = 6,    /* there is no such rule for seen items */
  /* } recommend ratings */
  /* { tables */
  LIBRARY_ERROR_FILTER = 27, /* a list of a filter has a negative length, or no place */
  LIBRARY_ERROR_QUERY = 28,  /* what the model makes of a history is not a finite number */
  /* } tables */
  /* { ratings */
  LIBRARY_ERROR_RATING = 20, /* a rating is not from 1 to LIBRARY_MAX_RATING */
  LIBRARY_ERROR_TIME = 21,   /* a time is not a finite number */
  /* } ratings */
  /* { code */
  LIBRARY_ERROR_CODE = 18, /* a code is not from 0 to below library_codes of its level */
  /* } code */
  /* { run */
  LIBRARY_ERROR_ROW = 19, /* an input has a number that is not from 0 to the last that its field names */
  /* } run */
  /* { generate */
  LIBRARY_ERROR_WORD = 22,      /* a word is not from 0 to LIBRARY_WORDS - 1 */
  LIBRARY_ERROR_POSITIONS = 23, /* a row has no room for so many words, or a count is out of range */
  LIBRARY_ERROR_SAMPLING = 24,  /* a number of the sampling is out of its range */
  LIBRARY_ERROR_EMPTY = 25,     /* a row has no word that another could follow */
  LIBRARY_ERROR_ROOM = 26,      /* there is no room for so many ids, or the text is too long */
  /* } generate */
  LIBRARY_ERROR_THREADS = 7,   /* threads are not from 0 to LIBRARY_MAX_THREADS, or are several without `run` */
  LIBRARY_ERROR_WORKSPACE = 8, /* memory of the caller's is smaller than what was asked for */
  LIBRARY_ERROR_MEMORY = 9,    /* memory could not be had */
  LIBRARY_ERROR_CPU = 10,      /* the library has no code for this processor */
  LIBRARY_ERROR_MODEL = 11,    /* no model was given, and none is embedded */
  LIBRARY_ERROR_FILE = 12,     /* the operating system refused to open, read or write the file: see errno */
  LIBRARY_ERROR_FORMAT = 13,   /* the file is truncated, or not of the kind that was wanted */
  LIBRARY_ERROR_OTHER = 14,    /* the file belongs to another model, or to another build of this one */
  LIBRARY_ERROR_CHANGED = 15,  /* the file's content is not what its hash says */
  LIBRARY_ERROR_STEP = 16,     /* the number of the step is not from 0 to 2^31 - 1 */
  LIBRARY_ERROR_TENSOR = 17    /* a tensor, or a part, is not there or has another type or shape */
} library_status;

/* One sentence about a status; never NULL. */
const char *library_status_text(library_status status);

/* What this library is: the version of Moire, the model, the instruction sets that it has code for, the hash of
 * its weights. */
const char *library_version(void);

/* The instruction set whose code this processor runs ("x86-64-v4"); NULL if there is none. */
const char *library_cpu(void);

/* ---- models -----------------------------------------------------------------------------------------
 *
 * A model is weights that do not change: any number of threads may use one at once. Where a call takes a model,
 * NULL is the one that is embedded in the library.
 */

typedef struct library_model library_model;

/* { weights external */
/* Maps the file of weights at `path`, after checking that it was written for this library and that its content
 * is whole. *model is the caller's, to be closed; on failure it is NULL. The file must not be changed while it
 * is open: replace it by renaming another one over it. */
library_status library_open(const char *path, library_model **model);
/* } weights external */

/* { models */
/* No call may be using it any more. NULL is fine. */
void library_close(library_model *model);
/* } models */

/* ---- workspaces -------------------------------------------------------------------------------------
 *
 * Where a call computes. A workspace serves one call at a time; calls with a workspace each may run at once.
 * Results do not depend on the workspace, on threads, or on how a batch is divided.
 */

/* Calls work(job, i) once for each i in [0, n), in any threads, at once or one after the other, and returns
 * when all have returned. */
typedef void library_tasks(void *context, int n, void (*work)(void *job, int i), void *job);

/* Is told that a kernel begins (`begins` 1) or has ended (0), by a name that says what it computes; it lives as
 * long as the library. Called by the thread that made the call or, where a batch is computed
 * in slices, by every thread that works for the call, at once, each between begin and end on one kernel. */
typedef void library_profile(void *context, const char *kernel, int begins);

/* Zero-initialise it for one thread and memory that the library allocates when it is first needed, keeps, and
 * gives back with library_workspace_free. Or set `memory` and `bytes` to memory of your own, of any alignment.
 */
typedef struct library_workspace {
  void *memory;
  size_t bytes;
  int owned;   /* the library's: leave it 0 */
  int threads; /* how many may work on one call: 0 or 1, or more if there is a `run` */
  library_tasks *run;
  void *context;            /* the first argument of run */
  library_profile *profile; /* NULL: nobody is told, at the cost of a comparison a kernel */
  void *profile_context;    /* the first argument of profile */
} library_workspace;

/* { recommend */
/* Bytes for library_scores and library_top on such a batch by so many threads; it stops growing with the batch
 * at LIBRARY_SLICE histories a thread. 0 if an argument is out of range, or if there is no code for this
 * processor. */
/* } recommend */
/* { ratings */
/* Bytes for library_scores and library_top on so many users by so many threads; it stops growing with the users
 * at LIBRARY_SLICE a thread. 0 if an argument is out of range, or if there is no code for this processor. */
/* } ratings */
/* { code */
/* Bytes for library_encode and library_decode on such a batch by so many threads; it stops growing with the
 * batch at LIBRARY_SLICE rows a thread. 0 if an argument is out of range, or if there is no code for this
 * processor. */
/* } code */
/* { run */
/* Bytes for library_run on n samples by so many threads; it stops growing with n at LIBRARY_SLICE samples a
 * thread. 0 if an argument is out of range, or if there is no code for this processor. */
/* } run */
/* { generate */
/* Bytes for library_next and library_logits of so many rows. 0 if an argument is out of range, or if there is
 * no code for this processor. */
/* } generate */
size_t library_workspace_bytes(int64_t batch, int threads);
/* Gives back what the library has allocated; the workspace is zero afterwards but for threads, run, profile and
 * their contexts.
 */
void library_workspace_free(library_workspace *workspace);

/* { recommend */
/* ---- recommending ----------------------------------------------------------------------------------- */

/* Lists of items, such as histories, have the oldest item first. A list may be empty, and longer than
 * LIBRARY_LENGTH.
 *
 * List i is items[offsets[i] .. offsets[i + 1]); so `offsets` has one entry more than there are lists. */
typedef struct library_lists {
  const int64_t *offsets;
  const int32_t *items; /* NULL is fine if all lists are empty */
} library_lists;

/* How well each item continues each history: a logit, larger is better. Scores of one history do not depend on
 * the others of its batch.
 *
 * scores[i * LIBRARY_ITEM_SIZE + item] is that of `item` for history i. */
library_status library_scores(const library_model *model, library_workspace *workspace, int64_t batch,
                              const library_lists *histories, float *scores);

/* What becomes of items that were seen. */
typedef enum library_seen {
  LIBRARY_SEEN_RANK,    /* they rank like all others */
  LIBRARY_SEEN_EXCLUDE, /* they are not listed */
  LIBRARY_SEEN_ZERO     /* they score 0 and item 0 is ranked too: the rule of the published evaluations */
} library_seen;

/* The k items with the best scores for each history, best first; of equal scores the smaller item comes first.
 * Item 0 is listed by the rule LIBRARY_SEEN_ZERO only. A list that runs out of items ends with item -1 and
 * score 0. `seen` holds a list of seen items for each history; NULL: the histories themselves, whole.
 *
 * items[i * k + r] is the item at rank r of history i, and scores, which may be NULL, its score. */
library_status library_top(const library_model *model, library_workspace *workspace, int64_t batch,
                           const library_lists *histories, const library_lists *seen, library_seen rule, int k,
                           int32_t *items, float *scores);

/* { tables */
/* ---- tables of items ---------------------------------------------------------------------------------
 *
 * A table has the rows of items apart from the library: files as `moire items` makes them. Its first
 * LIBRARY_ITEM_SIZE rows are the model's items, by number; those behind them are found like any other, though
 * no history can name them. Rows that are retired are not found.
 */

typedef struct library_items library_items;

/* Maps the table at `path`, after checking its head; library_items_check reads all of it. *items is the
 * caller's, to be closed; on failure it is NULL. Any number of threads may use it at once. The file must not be
 * changed while it is open: replace it by renaming another one over it, as `moire items` does, and who has it
 * open goes on with what it was. LIBRARY_ERROR_OTHER: its rows are not of LIBRARY_WIDTH numbers, or fewer than
 * the model's items. */
library_status library_items_open(const char *path, library_items **items);
/* Takes the file that lies at the path now, if it is another one, and closes the one before. No call may be
 * using *items. On failure it stays as it was. */
library_status library_items_refresh(library_items **items);
/* No call may be using it any more. NULL is fine. */
void library_items_close(library_items *items);
/* Reads all of the table; LIBRARY_ERROR_CHANGED: something is not what its checksum says. */
library_status library_items_check(const library_items *items);
/* Rows of the table, with those that are retired; 0 if it is NULL. */
int64_t library_items_count(const library_items *items);
/* Rows of the table without those that are retired; 0 if it is NULL. */
int64_t library_items_live(const library_items *items);
/* *name = the *n bytes of a row's name, without a NUL behind them, which live as long as the table is open;
 * NULL if the rows of the table have no names, or there is no such row. */
library_status library_items_name(const library_items *items, int64_t row, const char **name, size_t *n);

/* Which rows a history may find, besides the rule for what was seen. */
typedef struct library_filter {
  const int64_t *banned; /* [n_banned], in any order; what is no row is passed over */
  int64_t n_banned;
  const int64_t *allowed; /* [n_allowed]: no others; NULL: all */
  int64_t n_allowed;
} library_filter;

/* Bytes of the workspace for library_find of so many histories and threads, where all histories, unless seen
 * items rank, and all filters have `listed` numbers. 0 if an argument is out of range, or if there is no code
 * for this processor. */
size_t library_find_bytes(const library_items *items, int64_t batch, int threads, int k, int64_t listed);
/* The k rows of the table with the best scores for each history, best first: those that a scan of all rows in
 * float32 finds, bit for bit, as `moire recommend --items` does. Of equal scores the lower row comes first. Row
 * 0 is never listed, and a list that runs out of rows ends with row -1 and score 0. LIBRARY_SEEN_EXCLUDE leaves
 * out what the histories name, LIBRARY_SEEN_RANK does not; there is no LIBRARY_SEEN_ZERO here. `filters` has
 * one for each history; NULL: none. k is from 1 to the rows of the table.
 *
 * rows[i * k + r] is the row at rank r of history i, and scores, which may be NULL, its score. */
library_status library_find(const library_model *model, library_workspace *workspace,
                            const library_items *items, int64_t batch, const library_lists *histories,
                            library_seen rule, const library_filter *filters, int k, int64_t *rows,
                            float *scores);
/* } tables */
/* } recommend */

/* { ratings */
/* ---- ranking ---------------------------------------------------------------------------------------- */

/* { here */
#if 0 /* a library has one interface, and calls of these names with its arguments */
/* } here */
/* What users have rated. A user's ratings may come in any order, and be none or more than LIBRARY_LENGTH: the
 * model reads the last by time, of equal times the later entries. Times are in any unit; only their place
 * between the user's first and last counts. Without times, ratings come in order, all at the same time.
 *
 * User i rated items[e], giving ratings[e] at times[e], for e from offsets[i] to below offsets[i + 1]; so
 * `offsets` has one entry more than there are users. `times` NULL: there are none. */
typedef struct library_ratings {
  const int64_t *offsets;
  const int32_t *items, *ratings; /* NULL is fine if nobody rated anything */
  const double *times;
} library_ratings;

/* How well each item suits each user: larger is better. Scores of a user do not depend on the others of the
 * batch.
 *
 * scores[i * LIBRARY_ITEM_SIZE + item] is that of `item` for user i. */
library_status library_scores(const library_model *model, library_workspace *workspace, int64_t batch,
                              const library_ratings *users, float *scores);

/* What becomes of items that were rated. */
typedef enum library_seen {
  LIBRARY_SEEN_RANK,   /* they rank like all others */
  LIBRARY_SEEN_EXCLUDE /* they are not listed */
} library_seen;

/* The k items with the best scores for each user, best first; of equal scores the smaller item comes first. A
 * list that runs out of items ends with item -1 and score 0.
 *
 * items[i * k + r] is the item at rank r for user i, and scores, which may be NULL, its score. */
library_status library_top(const library_model *model, library_workspace *workspace, int64_t batch,
                           const library_ratings *users, library_seen rule, int k, int32_t *items,
                           float *scores);
/* { here */
#endif
/* } here */
/* } ratings */

/* { code */
/* ---- coding items ----------------------------------------------------------------------------------- */

/* How many codes a level has, from 0 to LIBRARY_LEVELS - 1; 0: there is no such level. */
int64_t library_codes(int level);

/* The codes of items by their features, the coarsest level first. Codes of an item do not depend on the others
 * of its batch. Features that are not finite get some codes.
 *
 * codes[i * LIBRARY_LEVELS + l] is that of level l for the item of features[i * LIBRARY_FEATURES ..). */
library_status library_encode(const library_model *model, library_workspace *workspace, int64_t batch,
                              const float *features, int32_t *codes);

/* The features that codes stand for. */
library_status library_decode(const library_model *model, library_workspace *workspace, int64_t batch,
                              const int32_t *codes, float *features);
/* } code */

/* { run */
/* ---- running ---------------------------------------------------------------------------------------- */

/* What the model reads, row-major: n samples one after the other where n is an extent, otherwise what is the
 * same for all of them.
 *
 * An array of no elements may be NULL. */
typedef struct library_inputs {
  /* { fields inputs */
  const float *x; /* f32[n, 128] */
  /* } fields inputs */
} library_inputs;

/* Where the results go; one that is NULL is not wanted. They must not overlap the inputs. */
typedef struct library_outputs {
  /* { fields outputs */
  float *y; /* f32[n, 4] */
  /* } fields outputs */
} library_outputs;

/* Computes the outputs of n samples, n from 0 to LIBRARY_MAX_BATCH. They are those of one run on all n samples,
 * bit for bit. */
library_status library_run(const library_model *model, library_workspace *workspace, int64_t n,
                           const library_inputs *inputs, const library_outputs *outputs);
/* } run */

/* { generate */
/* ---- writing ----------------------------------------------------------------------------------------
 *
 * Rows of words that are continued, and what the model keeps of them. One call at a time may use them; rows of
 * their own may be used at once. What follows a row does not depend on the others.
 */

typedef struct library_rows library_rows;

/* Bytes of the memory for so many rows of so many words; 0 if either is out of range. */
size_t library_rows_bytes(int64_t rows, int64_t positions);
/* Rows without words. Each has room for `positions` words that are read, 1 to LIBRARY_POSITIONS, and one that
 * follows. `memory`, of any alignment and at least library_rows_bytes(), is borrowed until library_end; NULL:
 * the library allocates it. On failure *started is NULL. */
library_status library_start(const library_model *model, void *memory, size_t bytes, int64_t rows,
                             int64_t positions, library_rows **started);
void library_end(library_rows *rows); /* NULL is fine */

/* Appends counts[b] words to row b, 0 to n of them: words[b * n ..). They are read when what follows is asked
 * for.
 */
library_status library_append(library_rows *rows, const int32_t *words, const int32_t *counts, int64_t n);
/* Takes off what stands behind the first `length` words of a row. */
library_status library_rewind(library_rows *rows, int64_t row, int64_t length);
/* Words of a row; 0 if there is none of that number. */
int64_t library_length(const library_rows *rows, int64_t row);

/* How words are drawn, in this order: the repetition penalty, once for each word of the row (a logit above 0 is
 * divided by it, another multiplied), the temperature, the top_k largest, of those the most probable before
 * which the mass is below top_p, softmax. Of equal logits the lower word comes first. */
typedef struct library_sampling {
  double temperature;        /* 0: the best word is taken */
  int64_t top_k;             /* 0: all */
  double top_p;              /* above 0; 1: all */
  double repetition_penalty; /* above 0; 1: none */
  uint64_t seed;             /* seed, row and how many words were chosen for it decide what is drawn */
} library_sampling;

/* words[b] = the word that follows row b, which is appended to it. `sampling` NULL: the best one. Rows must not
 * be empty. Of a row that has ended, by LIBRARY_EOS or since no further word can be read, words[b] = -1;
 * appending to it takes the end back. */
library_status library_next(library_rows *rows, library_workspace *workspace, const library_sampling *sampling,
                            int32_t *words);
/* logits[b * LIBRARY_WORDS + v] = how well word v follows row b, which must not be empty. */
library_status library_logits(library_rows *rows, library_workspace *workspace, float *logits);

/* { tokenizer */
/* The most words that a text of n bytes becomes. */
size_t library_most_words(size_t n);
/* words[0 .. *count) = the words of a text of n bytes, behind LIBRARY_BOS if `begins` is not 0 and there is
 * one. `room` is how many there is room for; if they are more, LIBRARY_ERROR_ROOM comes and *count says how
 * many. A byte that is no UTF-8 is read as U+FFFD. */
library_status library_encode_text(library_workspace *workspace, const char *text, size_t n, int begins,
                                   int32_t *words, size_t room, size_t *count);

/* A text that comes word by word; characters come out when they are whole. Zero-initialise. */
typedef struct library_decoding {
  unsigned char held[4];
  int n_held, begun;
} library_decoding;

/* What a word adds to the text: at most LIBRARY_TEXT_BYTES bytes, without a NUL. Returns how many. */
size_t library_decode_word(library_decoding *decoding, int32_t word, char *text);
/* The end: what is held of a character becomes U+FFFD. */
size_t library_decode_end(library_decoding *decoding, char *text);
/* } tokenizer */
/* } generate */

/* { training */
/* ---- training ---------------------------------------------------------------------------------------
 *
 * A state is what training changes: the parameters and the optimizer's moments. One call at a time may use it.
 */

typedef struct library_state library_state;

typedef enum library_dtype {
  LIBRARY_F32 = 1,
  LIBRARY_F64,
  LIBRARY_BF16,
  LIBRARY_I32,
  LIBRARY_I64,
  LIBRARY_BOOL
} library_dtype;

/* One named tensor of a state, row-major. */
typedef struct library_tensor {
  const char *name; /* as in the checkpoint: "item_embeddings.weight" */
  library_dtype dtype;
  int rank;
  int64_t shape[8];
  int64_t elements;
  int trained; /* a parameter; otherwise the optimizer's */
  void *data;  /* in the state: may be read and written between calls */
} library_tensor;

/* Bytes of the memory that a state takes. */
size_t library_state_bytes(void);
/* A state as a training with this seed begins.
 *
 * `memory`, of any alignment and at least library_state_bytes(), is borrowed until library_state_free; NULL:
 * the library allocates it. On failure *state is NULL. */
library_status library_state_create(void *memory, size_t bytes, uint64_t seed, library_state **state);
void library_state_free(library_state *state); /* NULL is fine */
/* { embedded */
/* Sets the parameters to the weights in the library, the optimizer's moments to their start. */
library_status library_state_reset(library_state *state);
/* } embedded */

/* The tensors of a state, in a fixed order. */
int library_state_count(void);
library_status library_state_at(library_state *state, int i, library_tensor *tensor);
library_status library_state_find(library_state *state, const char *name, library_tensor *tensor);

typedef enum library_part {
  LIBRARY_PARAMETERS, /* what a model needs */
  LIBRARY_EVERYTHING  /* the optimizer's moments too: training goes on from there as if it had not stopped */
} library_part;

/* Sets the tensors of `part` from a safetensors file, which must hold all of them with their type and shape.
 * Others in it must be the optimizer's. */
library_status library_state_read(library_state *state, library_part part, const void *bytes, size_t n);
library_status library_state_read_file(library_state *state, library_part part, const char *path);
/* Bytes of the tensors of `part` as a safetensors file, which is also a checkpoint for the command `moire`. */
size_t library_state_write_bytes(library_part part);
/* Writes exactly library_state_write_bytes(part) bytes; n is how many there is room for. */
library_status library_state_write(const library_state *state, library_part part, void *bytes, size_t n);
/* Writes the tensors of `part` as a safetensors file. It is written beside, synced and renamed: at no moment is
 * there half a file at `path`. It is for its owner alone to read, less what umask takes. What is no plain file
 * at `path` stays, and the call fails. */
library_status library_state_write_file(const library_state *state, library_part part, const char *path);

/* { recommend */
/* Bytes of the workspace that library_step and library_loss need; 0 as for library_workspace_bytes. Batches of
 * both are below 2^31 / LIBRARY_LENGTH. */
size_t library_training_bytes(int64_t batch);
/* One step of the optimizer on a batch: histories, and the item that follows each. The loss is the mean before
 * the step; it is not finite if the training has failed. `step` counts from 0. Seed and step decide all that is
 * random, so that the same calls give the same numbers, bit for bit, as `moire train`.
 *
 * `loss` may be NULL. */
library_status library_step(library_state *state, library_workspace *workspace, int64_t batch,
                            const library_lists *histories, const int32_t *targets, uint64_t seed, int64_t step,
                            float *loss);
/* The mean loss of a batch, without dropout; changes nothing. */
library_status library_loss(library_state *state, library_workspace *workspace, int64_t batch,
                            const library_lists *histories, const int32_t *targets, float *loss);
/* } recommend */
/* { run */
/* { here */
#if 0 /* a library has one interface, and calls of these names with its arguments */
/* } here */
/* What a training step reads: n samples, as in library_inputs, with what the loss compares them to. */
typedef struct library_examples {
  /* { fields examples */
  const float *x;       /* f32[n, 128] */
  const int32_t *label; /* i32[n]: each from 0 to 3 */
  /* } fields examples */
} library_examples;

/* Bytes of the workspace that library_step and library_loss need for n samples; 0 as for
 * library_workspace_bytes, or if n is 0. */
size_t library_training_bytes(int64_t n);
/* One step of the optimizer on n samples, from 1. The loss is that before the step; it is not finite if the
 * training has failed. `step` counts from 0. Seed and step decide all that is random, so that the same calls give
 * the same numbers, bit for bit, as `moire train`.
 *
 * `loss` may be NULL. */
library_status library_step(library_state *state, library_workspace *workspace, int64_t n,
                            const library_examples *examples, uint64_t seed, int64_t step, float *loss);
/* The loss of n samples, without dropout; changes nothing. */
library_status library_loss(library_state *state, library_workspace *workspace, int64_t n,
                            const library_examples *examples, float *loss);
/* { here */
#endif
/* } here */
/* } run */
/* A model of the state as it is now, to be used like any other. If *model is not NULL, it must come from an
 * earlier call, is not in use, and is made anew; otherwise it is allocated and the caller's to close. */
library_status library_freeze(library_state *state, library_model **model);
/* } training */

#ifdef __cplusplus
}
#endif
#endif
