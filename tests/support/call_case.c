/* See call_case.h. */
#include "tests/support/call_case.h"

#include "tests/support/slope.h"

bool test_call_compile(test_subject *s, const moire_graph *g, moire__text *why) {
  static const test_way ways[] = {{.target = "host"}};
  static const char *const outputs[] = {"y", "loss"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 2;
  options.loss = "loss";
  options.keep_gradients = true;
  return test_subject_make(s, g, &options, ways, 1, why);
}

bool test_call_agrees(moire_graph *g, int64_t batch, test_call_value *has_wanted_value, const void *context,
                      const test_pools *pools, moire__text *why) {
  test_subject s;
  bool good = test_call_compile(&s, g, why);
  test_feed feed = {0};
  if (good) feed = test_feed_draw(s.stages[s.reference], NULL, 0, batch, 17);
  good = good && (!has_wanted_value || has_wanted_value(context, &s, &feed, why)) &&
         test_subject_judge(&s, &feed, TEST_CHECK_ALL, pools, 3, why) && test_slope_agrees(&s, &feed, 3, why);
  test_feed_free(&feed);
  test_subject_free(&s);
  moire_graph_destroy(g);
  return good;
}
