// What a person or a program says to the link: words "name=value", and a schedule of lines. Knows no sockets.
#pragma once

#include "path.h"

#include <stdbool.h>
#include <stddef.h>

enum { SCHEDULE_LINES = 10000, LINE_BYTES = 512 };

typedef struct {
    // Nanoseconds after the start.
    int64_t at;
    char order[LINE_BYTES];
} schedule_line;

// Changes what the words name and leaves the rest. NULL, or the word that is of no use. Cuts `words` apart.
const char *settings_read(path_settings *settings, char *words);

// Lines "SECONDS ORDER", in the order of time; empty lines and those that begin with # say nothing. False: `problem` says
// why. The caller frees `*lines`.
bool schedule_read(const char *file, schedule_line **lines, size_t *count, char *problem, size_t problem_bytes);
