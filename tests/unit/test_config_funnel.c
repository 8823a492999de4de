/* common/config: model.funnel, the steps and scores that follow, and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/config_text.h"

#define HEAD "data: {train: {files: [a.csv]}}\nfeatures: [{name: user}]\n"
#define TASKS                                                                            \
    "tasks: {buy: {label: b}, like: {label: l}, click: {label: c}, cart: {label: a}}\n"
#define TOWERS ", towers: {layers: [8, 4]}}\n"

static void refused(const char *lines, const char *message, const char *hint)
{
    char text[4096];
    snprintf(text, sizeof text, HEAD TASKS "%s", lines);
    config_refused(text, NULL, message, hint);
}

/* Tasks keep their order and come first; every later step follows, given the one
 * before. */
static void steps_and_scores_follow_the_funnel(void **state)
{
    (void)state;
    struct settings *s =
        config_parse(HEAD TASKS "model: {type: esmm, funnel: [click, cart, buy]" TOWERS, NULL);
    static const struct {
        const char *name;
        size_t task;
        ptrdiff_t given;
    } want[] = {{"buy", 0, SCORE_OF_TASK},   {"like", 1, SCORE_OF_TASK},
                {"click", 2, SCORE_OF_TASK}, {"cart", 3, SCORE_OF_TASK},
                {"cart|click", 3, 2},        {"buy|cart", 0, 3}};
    assert_int_equal(s->model.steps.n, 3);
    assert_int_equal(s->model.steps.v[0], 2);
    assert_int_equal(s->model.steps.v[2], 0);
    assert_int_equal(s->n_scores, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(s->scores[i].name, want[i].name);
        assert_int_equal(s->scores[i].task, want[i].task);
        assert_int_equal(s->scores[i].given, want[i].given);
    }
    settings_destroy(s);
}

/* Without a funnel, scores are the tasks; with one every type has the further ones. */
static void scores_are_the_tasks_without_a_funnel(void **state)
{
    (void)state;
    struct settings *s = config_more("");
    assert_int_equal(s->n_scores, 1);
    assert_string_equal(s->scores[0].name, "click");
    assert_int_equal(s->model.steps.n, 0);
    settings_destroy(s);
    s = config_parse(HEAD TASKS "model: {type: lr, funnel: [click, buy]}\n", NULL);
    assert_int_equal(s->n_scores, 5);
    assert_int_equal(settings_warnings(s)->n, 0);
    settings_destroy(s);
}

/* A conditional score may be watched. */
static void early_stop_takes_a_conditional_score(void **state)
{
    (void)state;
    struct settings *s = config_parse(
        HEAD TASKS "model: {type: lr, funnel: [click, buy]}\n"
                   "train: {early_stop: {task: \"buy|click\"}}\n",
        (const char *const[]){"data.valid={fraction: 0.1}", NULL});
    assert_string_equal(s->train.early_stop_task, "buy|click");
    settings_destroy(s);
    config_refused(HEAD TASKS "model: {type: lr, funnel: [click, buy]}\n"
                              "train: {early_stop: {task: \"click|buy\"}}\n",
                   (const char *const[]){"data.valid={fraction: 0.1}", NULL},
                   "c.yaml:5:29: train.early_stop.task: there is no task 'click|buy'", "name of a task");
}

/* Types of their own need a funnel and towers; the others do without. */
static void types_that_need_a_funnel_say_so(void **state)
{
    (void)state;
    refused("model: {type: esmm" TOWERS, "c.yaml:4:8: model type esmm needs 'model.funnel'",
            "for example funnel: [click, buy]");
    refused("model: {type: aitm" TOWERS, "c.yaml:4:8: model type aitm needs 'model.funnel'",
            "funnel: [click, buy]");
    refused("model: {type: esmm, funnel: [click, buy]}\n",
            "c.yaml:4:8: model type esmm needs 'model.towers.layers'", "towers:");
}

/* Steps that are no tasks, twice there, alone or of another loss are named where they
 * stand. */
static void wrong_steps_are_named(void **state)
{
    (void)state;
    refused("model: {type: lr, funnel: [click, by]}\n",
            "c.yaml:4:35: model.funnel: there is no task 'by'", "did you mean 'buy'?");
    refused("model: {type: lr, funnel: [click, buy, click]}\n",
            "c.yaml:4:40: model.funnel: task 'click' stands twice", "once");
    refused("model: {type: lr, funnel: [click]}\n",
            "c.yaml:4:27: model.funnel: one step is no funnel", "[click, buy]");
    config_refused(HEAD "tasks: {click: {label: c}, price: {label: p, loss: mse}}\n"
                        "model: {type: lr, funnel: [click, price]}\n",
                   NULL, "c.yaml:4:35: model.funnel: the loss of task 'price' is not bce",
                   "loss: bce");
    config_refused(HEAD "tasks: {click: {label: c}, buy: {label: b}, \"buy|click\": {label: x}}\n"
                        "model: {type: lr, funnel: [click, buy]}\n",
                   NULL,
                   "c.yaml:4:35: model.funnel: task 'buy|click' has the name of a step's own score",
                   "another name");
}

/* aitm hands on from tower to tower: they need a layer and end equally wide. */
static void towers_of_aitm_fit_together(void **state)
{
    (void)state;
    config_refused(HEAD "tasks: {click: {label: c}, buy: {label: b, tower: {layers: [8]}}}\n"
                        "model: {type: aitm, funnel: [click, buy]" TOWERS,
                   NULL,
                   "c.yaml:3:33: tasks.buy: its tower ends with 8 units, that of the first step "
                   "with 4", "equally wide");
    config_refused(HEAD "tasks: {click: {label: c}, buy: {label: b}}\n"
                        "model: {type: aitm, funnel: [click, buy], towers: {layers: []}}\n",
                   NULL, "c.yaml:3:16: tasks.click: a tower of aitm needs a layer", "layers");
    struct settings *s = config_parse(
        HEAD "tasks: {click: {label: c}, buy: {label: b, tower: {layers: [16, 4]}}}\n"
             "model: {type: aitm, aitm: {constraint: 0.25}, funnel: [click, buy]" TOWERS, NULL);
    assert_true(s->model.aitm_constraint == 0.25);
    assert_false(s->model.aitm_stop_gradient);
    settings_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_and_scores_follow_the_funnel),
        cmocka_unit_test(scores_are_the_tasks_without_a_funnel),
        cmocka_unit_test(early_stop_takes_a_conditional_score),
        cmocka_unit_test(types_that_need_a_funnel_say_so),
        cmocka_unit_test(wrong_steps_are_named),
        cmocka_unit_test(towers_of_aitm_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
