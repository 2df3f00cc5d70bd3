/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the folder's two files. The page is put together from parts in a fixed order; the results
 * go into it as data, never as markup. Fails with what the file system says, and leaves what is
 * there.
 */
#include "bench/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PARTS BENCH_SOURCE_DIR "/report/"
#define UPLOT BENCH_SOURCE_DIR "/node/node_modules/uplot/dist/"
#define PATH_BYTES 4096

struct report {
    FILE *results;
    char results_path[PATH_BYTES];
    char page_path[PATH_BYTES];
};

static bool join(char path[PATH_BYTES], const char *dir, const char *name)
{
    return snprintf(path, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES;
}

int report_open(const char *dir, struct report **ret_report)
{
    struct report *report = calloc(1, sizeof(*report));
    int error = 0;

    if (!report)
        return -ENOMEM;
    if (!join(report->results_path, dir, "results.json") ||
        !join(report->page_path, dir, "index.html"))
        error = -ENAMETOOLONG;
    if (error == 0 && mkdir(dir, 0777) < 0 && errno != EEXIST)
        error = -errno;
    if (error == 0 && !(report->results = fopen(report->results_path, "we")))
        error = -errno;
    if (error < 0) {
        free(report);
        return error;
    }
    *ret_report = report;
    return 0;
}

int report_add(struct report *report, const struct record *record)
{
    return record_write(record, report->results);
}

/* ---- the page ------------------------------------------------------------------------------ */

static int copy(const char *path, FILE *page)
{
    char bytes[4096];
    size_t count;
    FILE *part = fopen(path, "re");

    if (!part)
        return -errno;
    while ((count = fread(bytes, 1, sizeof(bytes), part)) > 0)
        fwrite(bytes, 1, count, page);
    int error = ferror(part) ? -EIO : 0;
    fclose(part);
    return error;
}

/* The lines as the elements of an array. No text in them can end the element that they are in. */
static int copy_results(const char *path, FILE *page)
{
    bool line_began = false;
    int byte;
    FILE *results = fopen(path, "re");

    if (!results)
        return -errno;
    fputc('[', page);
    while ((byte = fgetc(results)) != EOF) {
        if (byte == '\n') {
            line_began = true;
            continue;
        }
        if (line_began)
            fputs(",\n", page);
        line_began = false;
        if (byte == '<')
            fputs("\\u003c", page);
        else
            fputc(byte, page);
    }
    fputc(']', page);
    int error = ferror(results) ? -EIO : 0;
    fclose(results);
    return error;
}

static int write_page(const struct report *report, FILE *page)
{
    int error = copy(PARTS "head.html", page);

    fputs("<style>\n", page);
    copy(UPLOT "uPlot.min.css", page); /* may be missing, as may its script below */
    if (error == 0)
        error = copy(PARTS "report.css", page);
    fputs("</style>\n<script type=\"application/json\" id=\"results\">", page);
    if (error == 0)
        error = copy_results(report->results_path, page);
    fputs("</script>\n<script>\n", page);
    copy(UPLOT "uPlot.iife.min.js", page);
    fputs("</script>\n<script>\n", page);
    if (error == 0)
        error = copy(PARTS "report.js", page);
    fputs("</script>\n", page);
    return ferror(page) ? -EIO : error;
}

int report_close(struct report *report)
{
    if (!report)
        return 0;
    int error = fclose(report->results) == EOF ? -errno : 0;
    FILE *page = error == 0 ? fopen(report->page_path, "we") : NULL;
    if (error == 0 && !page)
        error = -errno;
    if (page) {
        error = write_page(report, page);
        if (fclose(page) == EOF && error == 0)
            error = -errno;
    }
    free(report);
    return error;
}
