// See settings.h.
#define _GNU_SOURCE
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// A whole number or a decimal fraction from `least` to `most`, and nothing behind it.
static bool number(const char *text, double least, double most, double *found) {
    char *end = NULL;
    if ((*text < '0' || *text > '9') && *text != '.') return false;
    *found = strtod(text, &end);
    return *end == 0 && *found >= least && *found <= most;
}

/// "P,R" or "P,R,BAD" or "P,R,BAD,GOOD".
static bool bursts(path_settings *settings, char *text) {
    double values[4] = {0, 0, 1, 0};
    int count = 0;
    for (char *part, *rest = text; (part = strsep(&rest, ",")); count++) {
        if (count == 4 || !number(part, 0, 1, &values[count])) return false;
    }
    if (count < 2) return false;
    settings->to_bad = values[0];
    settings->to_good = values[1];
    settings->loss_bad = values[2];
    settings->loss_good = values[3];
    return true;
}

static bool assign(path_settings *settings, const char *name, char *value) {
    double found = 0;
    if (!strcmp(name, "rate")) {
        if (!number(value, 0, 1e10, &found)) return false;
        settings->rate = (int64_t)found;
    } else if (!strcmp(name, "queue")) {
        if (!number(value, 1, 1e8, &found)) return false;
        settings->queue_bytes = (int64_t)found;
    } else if (!strcmp(name, "queue-ms")) {
        if (!number(value, 0, 60000, &settings->queue_ms)) return false;
        settings->queue_bytes = 0;
    } else if (!strcmp(name, "delay-ms")) {
        if (!number(value, 0, 60000, &found)) return false;
        settings->delay = (int64_t)(found * 1e6);
    } else if (!strcmp(name, "jitter-ms")) {
        if (!number(value, 0, 60000, &found)) return false;
        settings->jitter = (int64_t)(found * 1e6);
    } else if (!strcmp(name, "reorder")) {
        if (!number(value, 0, 1, &found)) return false;
        settings->reorder = found > 0;
    } else if (!strcmp(name, "loss")) {
        return number(value, 0, 1, &settings->loss);
    } else if (!strcmp(name, "bursts")) {
        return bursts(settings, value);
    } else {
        return false;
    }
    return true;
}

const char *settings_read(path_settings *settings, char *words) {
    for (char *word, *rest = words; (word = strsep(&rest, " \t"));) {
        char *value = strchr(word, '=');
        if (!*word) continue;
        if (!value) return word;
        *value++ = 0;
        if (!assign(settings, word, value)) return word;
    }
    return NULL;
}

bool schedule_read(const char *file, schedule_line **lines, size_t *count, char *problem, size_t problem_bytes) {
    FILE *stream = fopen(file, "re");
    char line[LINE_BYTES];
    *lines = NULL;
    *count = 0;
    if (!stream) return snprintf(problem, problem_bytes, "%s cannot be read", file), false;
    schedule_line *found = calloc(SCHEDULE_LINES, sizeof *found);
    bool good = found != NULL;
    for (int at = 1; good && fgets(line, sizeof line, stream); at++) {
        line[strcspn(line, "\r\n")] = 0;
        char *order = line + strcspn(line, " \t");
        if (!*line || *line == '#') continue;
        if (*order) *order++ = 0;
        double seconds = 0;
        good = *order && *count < SCHEDULE_LINES && number(line, 0, 1e6, &seconds);
        good = good && (*count == 0 || (int64_t)(seconds * 1e9) >= found[*count - 1].at);
        if (!good) {
            snprintf(problem, problem_bytes, "%s: line %d is no \"SECONDS ORDER\", or is out of order", file, at);
            break;
        }
        found[*count].at = (int64_t)(seconds * 1e9);
        snprintf(found[*count].order, sizeof found->order, "%s", order);
        ++*count;
    }
    fclose(stream);
    if (!good) {
        free(found);
        return false;
    }
    *lines = found;
    return true;
}
