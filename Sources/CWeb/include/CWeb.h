// The files of the conference page and the client SDK, and the contracts, inside the binary. Their text lives in
// Sources/Signaling/Web and in docs.
#pragma once
#include <stddef.h>

struct sfu_web_file {
    const unsigned char *bytes;
    size_t count;
};

struct sfu_web_file sfu_web_index_html(void);
struct sfu_web_file sfu_web_app_js(void);
struct sfu_web_file sfu_web_layout_js(void);
struct sfu_web_file sfu_web_people_js(void);
struct sfu_web_file sfu_web_quality_js(void);
struct sfu_web_file sfu_web_ui_js(void);
struct sfu_web_file sfu_web_app_css(void);
struct sfu_web_file sfu_web_sdk_js(void);
struct sfu_web_file sfu_web_sdk_types(void);
struct sfu_web_file sfu_web_asyncapi_json(void);
struct sfu_web_file sfu_web_openapi_json(void);
