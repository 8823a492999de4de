/* A complete program on libmtps_infer: scores of the rows of a csv file.
 *
 *   cc score.c $(pkg-config --cflags --libs mtps-infer) -o score
 *   ./score BUNDLE <rows.csv
 *
 * The first line names the columns; columns that the model does not read are ignored, an
 * empty field is a missing value. Prints one line of scores for each row. */
#define _DEFAULT_SOURCE /* strsep, also with -std=c99 */
#include <mtps.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 65536, MAX_COLUMNS = 1024 };

static int fail(const char *what, const struct mtps_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->text);
    if (error->hint[0]) fprintf(stderr, "hint: %s\n", error->hint);
    return EXIT_FAILURE;
}

/* The next line of stdin without its end; 0 when there is none. */
static int next_line(char *line)
{
    if (!fgets(line, MAX_LINE, stdin)) return 0;
    if (!strchr(line, '\n') && !feof(stdin)) {
        fprintf(stderr, "a line has more than %d bytes\n", MAX_LINE - 2);
        exit(EXIT_FAILURE);
    }
    line[strcspn(line, "\r\n")] = '\0';
    return 1;
}

/* Cuts a line at its commas, in place (no quotes: this is an example). */
static size_t split(char *line, char **fields)
{
    size_t n = 0;
    for (char *field = line; field && n < MAX_COLUMNS; n++) fields[n] = strsep(&field, ",");
    return n;
}

static int score_rows(struct mtps_model *model, struct mtps_scorer *scorer)
{
    static char line[MAX_LINE];
    char *fields[MAX_COLUMNS];
    ptrdiff_t input[MAX_COLUMNS]; /* of each column; -1: the model does not read it */
    size_t n_inputs = mtps_n_inputs(model), n_tasks = mtps_n_tasks(model);
    struct mtps_value *row = calloc(n_inputs, sizeof *row);
    float *scores = calloc(n_tasks, sizeof *scores);
    struct mtps_error error;
    int result = EXIT_SUCCESS;
    if (!row || !scores || !next_line(line)) {
        fprintf(stderr, row && scores ? "there is no line with names of columns\n" : "out of memory\n");
        result = EXIT_FAILURE;
    }

    size_t n_columns = result == EXIT_SUCCESS ? split(line, fields) : 0;
    for (size_t i = 0; i < n_columns; i++) input[i] = mtps_find_input(model, fields[i]);
    while (result == EXIT_SUCCESS && next_line(line)) {
        size_t n = split(line, fields);
        memset(row, 0, n_inputs * sizeof *row); /* zeroed memory is missing */
        for (size_t i = 0; i < n && i < n_columns; i++)
            if (input[i] >= 0) row[input[i]] = mtps_text(fields[i]);
        if (mtps_score(scorer, row, 1, scores, &error) != MTPS_OK) {
            result = fail("score", &error);
            break;
        }
        for (size_t k = 0; k < n_tasks; k++) printf("%s%.9g", k ? "," : "", (double)scores[k]);
        putchar('\n');
    }
    free(row);
    free(scores);
    return result;
}

int main(int argc, char **argv)
{
    struct mtps_error error;
    struct mtps_model *model;
    struct mtps_scorer *scorer;
    if (argc != 2) {
        fprintf(stderr, "usage: score BUNDLE <rows.csv\n");
        return EXIT_FAILURE;
    }
    if (mtps_open(argv[1], 0, &model, &error) != MTPS_OK) return fail("open", &error);
    if (mtps_scorer_create(model, &scorer, &error) != MTPS_OK) {
        mtps_close(model);
        return fail("scorer", &error);
    }
    for (size_t k = 0; k < mtps_n_tasks(model); k++) printf("%s%s", k ? "," : "", mtps_task(model, k)->name);
    putchar('\n');
    int result = score_rows(model, scorer);
    mtps_scorer_destroy(scorer);
    mtps_close(model);
    return result;
}
