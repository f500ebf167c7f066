/* The keys of a training's configuration, for each kind of model. */
#include "moire/compile.h"
#include "runtime/train/trainer.h"

#define METRICS "HR@5|NDCG@5|HR@10|NDCG@10|HR@20|NDCG@20"

#define COMMON(data_help, epochs, patience)                                                                    \
  {"model", MOIRE_CONFIG_STRING, NULL, 0, 0, NULL, "name of a model, or path of a shared object with one"},    \
      {"data", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL, data_help},                                            \
      {"epochs", MOIRE_CONFIG_INT, epochs, 1, 1000000, NULL, "most epochs"},                                   \
      {"batch_size", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL, "samples of a step"},                          \
      {"optimizer", MOIRE_CONFIG_STRING, "adam", 0, 0, "adam|adamw", "adamw decays weights by themselves"},    \
      {"lr", MOIRE_CONFIG_REAL, "0.001", 0, 100, NULL, "learning rate"},                                       \
      {"beta1", MOIRE_CONFIG_REAL, "0.9", 0, 0.999999, NULL, "decay of the first moment"},                     \
      {"beta2", MOIRE_CONFIG_REAL, "0.999", 0, 0.99999999, NULL, "decay of the second moment"},                \
      {"eps", MOIRE_CONFIG_REAL, "1e-8", 0, 1, NULL, "added to the root of the second moment"},                \
      {"weight_decay", MOIRE_CONFIG_REAL, "0.0", 0, 100, NULL, "strength of the decay"},                       \
      {"patience",                                                                                             \
       MOIRE_CONFIG_INT,                                                                                       \
       patience,                                                                                               \
       1,                                                                                                      \
       1000000,                                                                                                \
       NULL,                                                                                                   \
       "epochs without a new best before training ends"},                                                      \
      {"precision", MOIRE_CONFIG_STRING, "f32", 0, 0, "f32|bf16", "of what products multiply; sums are f32"},  \
      {"seed", MOIRE_CONFIG_INT, "42", 0, 9007199254740992, NULL, "of all randomness"}

#define SWITCH(name, purpose) {#name, MOIRE_CONFIG_BOOL, "true", 0, 0, NULL, purpose},

static const moire_config_field of_sequences[] = {
    COMMON("data set: one user a line; --data replaces it", "200", "10"),
    {"eval_batch_size", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL, "users that are scored at once"},
    {"stop_metric", MOIRE_CONFIG_STRING, "NDCG@10", 0, 0, METRICS, "what the best epoch is best in"},
    MOIRE_OPTIMIZATIONS(SWITCH)};

static const moire_config_field of_items[] = {
    COMMON("item features: safetensors or .npy; --features replaces it", "50", "5"),
    {"eval_batch_size", MOIRE_CONFIG_INT, "4096", 1, 1000000, NULL, "items that are encoded at once"},
    {"kmeans_iterations", MOIRE_CONFIG_INT, "10", 1, 1000, NULL, "rounds of k-means for a level"},
    {"kmeans_samples", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL,
     "items that k-means takes for a code, at most"},
    MOIRE_OPTIMIZATIONS(SWITCH)};

#undef SWITCH
#undef COMMON

moire__config_fields moire__trainer_fields(moire_model_kind kind) {
  if (kind == MOIRE_MODEL_ITEM_CODER)
    return (moire__config_fields){of_items, (int)(sizeof of_items / sizeof *of_items)};
  return (moire__config_fields){of_sequences, (int)(sizeof of_sequences / sizeof *of_sequences)};
}
