// H.264 in temporal layers, by OpenH264: nothing refers to pictures of the highest layer.
#include "encode.h"

#include <string.h>
#include <wels/codec_api.h>

static int open(encoder *e) {
    ISVCEncoder *codec;
    if (WelsCreateSVCEncoder(&codec) != 0) return -1;
    e->state = codec;
    int level = WELS_LOG_QUIET;
    (*codec)->SetOption(codec, ENCODER_OPTION_TRACE_LEVEL, &level);
    SEncParamExt p;
    (*codec)->GetDefaultParams(codec, &p);
    p.iUsageType = CAMERA_VIDEO_REAL_TIME;
    p.iPicWidth = e->settings.width;
    p.iPicHeight = e->settings.height;
    p.iTargetBitrate = p.iMaxBitrate = e->settings.kilobits * 1000;
    p.iRCMode = RC_BITRATE_MODE;
    p.fMaxFrameRate = 30;
    p.iTemporalLayerNum = e->settings.temporal_layers;
    p.iSpatialLayerNum = 1;
    p.uiIntraPeriod = 0;
    p.bEnableFrameSkip = 0;
    p.iMultipleThreadIdc = 1;
    p.eSpsPpsIdStrategy = CONSTANT_ID;
    p.sSpatialLayers[0].iVideoWidth = e->settings.width;
    p.sSpatialLayers[0].iVideoHeight = e->settings.height;
    p.sSpatialLayers[0].fFrameRate = 30;
    p.sSpatialLayers[0].iSpatialBitrate = p.sSpatialLayers[0].iMaxSpatialBitrate = p.iTargetBitrate;
    p.sSpatialLayers[0].uiProfileIdc = PRO_BASELINE;
    return (*codec)->InitializeExt(codec, &p) == 0 ? 0 : -1;
}

static int encode(encoder *e, const picture_plan *plan, int is_key) {
    ISVCEncoder *codec = e->state;
    if (is_key) (*codec)->ForceIntraFrame(codec, 1);
    SSourcePicture picture;
    memset(&picture, 0, sizeof picture);
    int area = e->settings.width * e->settings.height;
    picture.iColorFormat = videoFormatI420;
    picture.iPicWidth = e->settings.width;
    picture.iPicHeight = e->settings.height;
    picture.iStride[0] = e->settings.width;
    picture.iStride[1] = picture.iStride[2] = e->settings.width / 2;
    picture.pData[0] = e->source;
    picture.pData[1] = e->source + area;
    picture.pData[2] = e->source + area + area / 4;
    picture.uiTimeStamp = e->ticks * 1000 / 30;
    SFrameBSInfo info;
    memset(&info, 0, sizeof info);
    if ((*codec)->EncodeFrame(codec, &picture, &info) != 0) return encoder_fail(e, "OpenH264 refuses");
    if (info.eFrameType == videoFrameTypeSkip) return encoder_fail(e, "OpenH264 skips");
    // Its own pattern must be the one that the packets are described by.
    int last = info.iLayerNum - 1;
    if (info.sLayerInfo[last].uiTemporalId != plan->temporal) return encoder_fail(e, "another temporal layer");
    int64_t size = 0;
    for (int layer = 0; layer < info.iLayerNum; layer++) {
        for (int i = 0; i < info.sLayerInfo[layer].iNalCount; i++) {
            size += info.sLayerInfo[layer].pNalLengthInByte[i];
        }
    }
    return encoder_append(e, 0, info.sLayerInfo[0].pBsBuf, size);
}

static void close(encoder *e) { WelsDestroySVCEncoder(e->state); }

const encoder_library openh264_library = {open, encode, close};
