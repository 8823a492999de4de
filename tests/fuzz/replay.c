/* Gives every file of the folders in argv to the fuzz target that this is linked with:
 * what default tests do in place of libFuzzer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static void replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    FUZZ_CHECK(f && fseek(f, 0, SEEK_END) == 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(n + !n);
    FUZZ_CHECK(data && fread(data, 1, n, f) == n);
    fclose(f);
    (void)LLVMFuzzerTestOneInput(data, n);
    /* Cut short and changed a little, each seed says more. */
    for (size_t cut = n / 2; cut > 0; cut /= 2) (void)LLVMFuzzerTestOneInput(data, cut);
    for (size_t i = 0; i < n; i += n / 16 + 1) {
        data[i] ^= 0x20;
        (void)LLVMFuzzerTestOneInput(data, n);
        data[i] ^= 0x20;
    }
    free(data);
}

int main(int argc, char **argv)
{
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        char path[4096];
        DIR *dir = opendir(argv[i]);
        struct dirent *e;
        while (dir && (e = readdir(dir))) {
            if (e->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            replay(path);
            n++;
        }
        if (dir) closedir(dir);
    }
    printf("%zu seeds, each also cut and changed\n", n);
    return n ? EXIT_SUCCESS : EXIT_FAILURE; /* a corpus that is not there proves nothing */
}
