/* Settings from YAML text: files and what --set says. */
#include <string.h>

#include "common/config/config.h"
#include "common/config/yaml.h"

/* configs/kuairand.yaml -> name: kuairand */
static enum status default_name(struct arena *a, struct node *root, const char *file,
                                struct error *err)
{
    const struct node *given = node_get(root, "name");
    if (root->kind != NODE_MAP || (given && !node_is_null(given))) return ST_OK;
    size_t at = node_find(root, "name");
    if (at < root->n) node_remove(root, at);
    const char *slash = strrchr(file, '/');
    const char *stem = slash ? slash + 1 : file;
    size_t n = strcspn(stem, ".");
    struct origin nowhere = {"default", 0, 0};
    struct node *key = node_scalar(a, "name", 4, true, nowhere);
    struct node *value = node_scalar(a, n ? stem : "run", n ? n : 3, true, nowhere);
    if (!key || !value || !node_append(a, root, key, value)) return config_no_memory(err);
    return ST_OK;
}

static enum status fill(struct settings *s, struct node *root, const char *file, bool is_file,
                        const char *const *sets, size_t n_sets, struct error *err)
{
    TRY(merge_includes(s->arena, is_file ? file : NULL, &root, err));
    for (size_t i = 0; i < n_sets; i++) TRY(set_apply(s->arena, root, sets[i], err));
    TRY(vars_substitute(s->arena, root, err));
    TRY(default_name(s->arena, root, file, err));
    TRY(bind_settings(s, root, err));
    if (!s->run_dir) s->run_dir = arena_printf(s->arena, "runs/%s", s->name);
    if (!s->run_dir) return config_no_memory(err);
    return check_settings(s, err);
}

static enum status load(const char *file, const char *text, const char *const *sets,
                        size_t n_sets, struct settings **out, struct error *err)
{
    struct settings *s = NULL;
    TRY(config_create(&s, err));
    struct node *root = NULL;
    const char *name = arena_strdup(s->arena, file);
    enum status st = name ? ST_OK : config_no_memory(err);
    if (st == ST_OK && !text) st = yaml_read(s->arena, name, &root, err);
    if (st == ST_OK && text)
        st = yaml_parse(s->arena, text, strlen(text), name, true, &root, err);
    if (st == ST_OK) st = fill(s, root, name, !text, sets, n_sets, err);
    if (st != ST_OK) {
        settings_destroy(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

enum status settings_load(const char *file, const char *const *sets, size_t n_sets,
                          struct settings **out, struct error *err)
{
    return load(file, NULL, sets, n_sets, out, err);
}

enum status settings_parse(const char *text, const char *name, const char *const *sets,
                           size_t n_sets, struct settings **out, struct error *err)
{
    return load(name, text, sets, n_sets, out, err);
}
