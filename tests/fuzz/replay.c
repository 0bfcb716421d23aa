/* Runs a libFuzzer target over the files of a corpus folder, with any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path)
{
        FILE *f = fopen(path, "rb");
        if (!f)
                return;
        static uint8_t data[1 << 20];
        size_t n = fread(data, 1, sizeof data, f);
        fclose(f);
        LLVMFuzzerTestOneInput(data, n);
}

int main(int argc, char **argv)
{
        unsigned files = 0;
        LLVMFuzzerTestOneInput((const uint8_t *) "", 0);
        DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
        if (!dir) {
                fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
                return 2;
        }
        for (struct dirent *e; (e = readdir(dir));) {
                char path[4096];
                if (e->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
                replay(path);
                files++;
        }
        closedir(dir);
        printf("%u files\n", files);
        return files ? 0 : 1;
}
