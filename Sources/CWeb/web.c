// `#embed` (C23 §6.10.4) costs nothing at build time and is tracked as a dependency; the same bytes as a Swift
// array literal take half a minute to compile.
#include "CWeb.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

#define WEB_FILE(name)                                                  \
    struct sfu_web_file sfu_web_##name(void) {                          \
        return (struct sfu_web_file){name##_bytes, sizeof name##_bytes}; \
    }

static const unsigned char index_html_bytes[] = {
#embed "../Signaling/Web/index.html"
};
static const unsigned char app_js_bytes[] = {
#embed "../Signaling/Web/app.js"
};
static const unsigned char layout_js_bytes[] = {
#embed "../Signaling/Web/layout.js"
};
static const unsigned char people_js_bytes[] = {
#embed "../Signaling/Web/people.js"
};
static const unsigned char quality_js_bytes[] = {
#embed "../Signaling/Web/quality.js"
};
static const unsigned char ui_js_bytes[] = {
#embed "../Signaling/Web/ui.js"
};
static const unsigned char app_css_bytes[] = {
#embed "../Signaling/Web/app.css"
};
static const unsigned char sdk_js_bytes[] = {
#embed "../Signaling/Web/sdk/sfu.js"
};
static const unsigned char sdk_types_bytes[] = {
#embed "../Signaling/Web/sdk/sfu.d.ts"
};
static const unsigned char asyncapi_json_bytes[] = {
#embed "../../docs/asyncapi.json"
};
static const unsigned char openapi_json_bytes[] = {
#embed "../../docs/openapi.json"
};

WEB_FILE(index_html)
WEB_FILE(app_js)
WEB_FILE(layout_js)
WEB_FILE(people_js)
WEB_FILE(quality_js)
WEB_FILE(ui_js)
WEB_FILE(app_css)
WEB_FILE(sdk_js)
WEB_FILE(sdk_types)
WEB_FILE(asyncapi_json)
WEB_FILE(openapi_json)
