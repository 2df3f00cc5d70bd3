/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entry points, as FFmpeg finds them through NvEncodeAPICreateInstance. Owns the sessions;
 * one mutex for all. What a caller does against the rules of the API is refused as the driver
 * refuses it, and what it forgets to give back is counted.
 */
#include "tests/fake_nvenc/fake_nvenc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ffnvcodec/dynlink_cuda.h>
#include <ffnvcodec/nvEncodeAPI.h>

#include "tests/fake_cuda/fake_cuda.h"
#include "tests/fake_nvenc/engine.h"

#define API __attribute__((visibility("default")))
#define RESOURCES 96
#define SESSIONS_MAX 8
#define SIDE_MAX 8192
#define REASON_BYTES 128

struct resource {
    uint64_t address; /* 0: this entry is free */
    uint32_t pitch;
    uint32_t height;
    NV_ENC_BUFFER_FORMAT format;
    bool is_mapped;
};

/* A buffer for a coded picture, and the picture that is to be coded into it. */
struct bitstream {
    struct resource input;
    uint64_t time_stamp;
    bool is_idr;
    bool is_pending;
};

struct session {
    bool is_hevc;
    struct engine *engine;
    struct engine_config config;
    const void *stream;
    struct resource resources[RESOURCES];
    int bitstreams;
    bool idr_next;
    char reason[REASON_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_nvenc_state state;

API void fake_nvenc_state(struct fake_nvenc_state *ret_state)
{
    pthread_mutex_lock(&lock);
    *ret_state = state;
    pthread_mutex_unlock(&lock);
}

/* ---- what every call does first ------------------------------------------------------------ */

static NVENCSTATUS injected(const char *name)
{
    static int failed;
    static char last[128];
    const char *wish = getenv("FAKE_NVENC_FAIL");
    size_t length = strlen(name);
    char *rest;

    if (!wish || strncmp(wish, name, length) != 0 || wish[length] != ':')
        return NV_ENC_SUCCESS;
    if (strcmp(last, wish) != 0)
        failed = 0;
    snprintf(last, sizeof(last), "%s", wish);
    NVENCSTATUS status = (NVENCSTATUS)strtol(wish + length + 1, &rest, 10);
    return *rest == ':' && failed++ >= strtol(rest + 1, NULL, 10) ? NV_ENC_SUCCESS : status;
}

static NVENCSTATUS begin(const char *name)
{
    pthread_mutex_lock(&lock);
    return injected(name);
}

static NVENCSTATUS end(NVENCSTATUS status)
{
    pthread_mutex_unlock(&lock);
    return status;
}

#define BEGIN                                                                                      \
    do {                                                                                           \
        NVENCSTATUS begun = begin(__func__);                                                       \
        if (begun != NV_ENC_SUCCESS)                                                               \
            return end(begun);                                                                     \
    } while (0)

static NVENCSTATUS complain(struct session *session, NVENCSTATUS status, const char *reason)
{
    snprintf(session->reason, sizeof(session->reason), "%s", reason);
    return status;
}

/* ---- sessions ------------------------------------------------------------------------------ */

static bool has_codec(const char *name)
{
    const char *codecs = getenv("FAKE_NVENC_CODECS");

    return !codecs || strstr(codecs, name);
}

static int sessions_max(void)
{
    const char *limit = getenv("FAKE_NVENC_SESSIONS");

    return limit ? (int)strtol(limit, NULL, 10) : SESSIONS_MAX;
}

static NVENCSTATUS nvEncOpenEncodeSessionEx(NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS *params,
                                            void **ret_session)
{
    BEGIN;
    if (params->version != NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER ||
        params->apiVersion != NVENCAPI_VERSION)
        return end(NV_ENC_ERR_INVALID_VERSION);
    if (params->deviceType != NV_ENC_DEVICE_TYPE_CUDA || !params->device)
        return end(NV_ENC_ERR_INVALID_ENCODERDEVICE);
    if (state.sessions >= sessions_max())
        return end(NV_ENC_ERR_OUT_OF_MEMORY); /* what drivers say of their limit */
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return end(NV_ENC_ERR_OUT_OF_MEMORY);
    state.sessions++;
    state.opened++;
    *ret_session = session;
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncDestroyEncoder(void *encoder)
{
    struct session *session = encoder;

    BEGIN;
    for (unsigned i = 0; i < RESOURCES; i++) {
        if (!session->resources[i].address)
            continue;
        state.registrations--;
        state.forgotten++;
        state.mappings -= session->resources[i].is_mapped;
    }
    state.forgotten += (uint64_t)session->bitstreams;
    state.bitstreams -= session->bitstreams;
    state.sessions--;
    engine_close(session->engine);
    free(session);
    return end(NV_ENC_SUCCESS);
}

static const char *nvEncGetLastErrorString(void *encoder)
{
    const struct session *session = encoder;

    return session->reason;
}

/* ---- what the engine can do ---------------------------------------------------------------- */

static NVENCSTATUS nvEncGetEncodeGUIDCount(void *encoder, uint32_t *ret_count)
{
    (void)encoder;
    BEGIN;
    *ret_count = (uint32_t)has_codec("h264") + (uint32_t)has_codec("hevc");
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncGetEncodeGUIDs(void *encoder, GUID *ret_guids, uint32_t room,
                                       uint32_t *ret_count)
{
    uint32_t count = 0;

    (void)encoder;
    BEGIN;
    if (has_codec("h264") && count < room)
        ret_guids[count++] = NV_ENC_CODEC_H264_GUID;
    if (has_codec("hevc") && count < room)
        ret_guids[count++] = NV_ENC_CODEC_HEVC_GUID;
    *ret_count = count;
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncGetEncodeCaps(void *encoder, GUID codec, NV_ENC_CAPS_PARAM *params,
                                      int *ret_value)
{
    (void)encoder;
    (void)codec;
    BEGIN;
    switch (params->capsToQuery) {
    case NV_ENC_CAPS_WIDTH_MAX:
    case NV_ENC_CAPS_HEIGHT_MAX:
        *ret_value = SIDE_MAX;
        break;
    case NV_ENC_CAPS_SUPPORT_CABAC:
    case NV_ENC_CAPS_SUPPORT_DYN_BITRATE_CHANGE:
        *ret_value = 1;
        break;
    default:
        *ret_value = 0;
    }
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncGetEncodePresetConfigEx(void *encoder, GUID codec, GUID preset,
                                                NV_ENC_TUNING_INFO tuning,
                                                NV_ENC_PRESET_CONFIG *preset_config)
{
    (void)encoder;
    (void)preset;
    BEGIN;
    state.tuning = tuning;
    preset_config->presetCfg = (NV_ENC_CONFIG){
        .version = NV_ENC_CONFIG_VER,
        .gopLength = NVENC_INFINITE_GOPLENGTH,
        .frameIntervalP = 1,
        .rcParams = {.rateControlMode = NV_ENC_PARAMS_RC_VBR, .averageBitRate = 5000000},
    };
    if (memcmp(&codec, &NV_ENC_CODEC_HEVC_GUID, sizeof(codec)) == 0)
        preset_config->presetCfg.profileGUID = NV_ENC_HEVC_PROFILE_MAIN_GUID;
    else
        preset_config->presetCfg.profileGUID = NV_ENC_H264_PROFILE_HIGH_GUID;
    return end(NV_ENC_SUCCESS);
}

/* ---- configuration ------------------------------------------------------------------------- */

static bool same_guid(const GUID *a, const GUID *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static uint32_t preset_number(const GUID *preset)
{
    const GUID *const presets[] = {&NV_ENC_PRESET_P1_GUID, &NV_ENC_PRESET_P2_GUID,
                                   &NV_ENC_PRESET_P3_GUID, &NV_ENC_PRESET_P4_GUID,
                                   &NV_ENC_PRESET_P5_GUID, &NV_ENC_PRESET_P6_GUID,
                                   &NV_ENC_PRESET_P7_GUID};

    for (uint32_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        if (same_guid(preset, presets[i]))
            return i + 1;
    }
    return 0;
}

static void take_rate(struct session *session, const NV_ENC_RC_PARAMS *rate)
{
    session->config.bitrate_bps = rate->averageBitRate;
    session->config.bitrate_bps_max = rate->maxBitRate;
    session->config.vbv_bits = (int)rate->vbvBufferSize;
    state.bitrate_bps = rate->averageBitRate;
    state.vbv_bits = rate->vbvBufferSize;
    state.rate_control = rate->rateControlMode;
    state.zero_delay = rate->zeroReorderDelay;
}

static void take_vui(struct session *session, const NV_ENC_CONFIG *config)
{
    /* HEVC's parameters are declared as H.264's. */
    const NV_ENC_CONFIG_H264_VUI_PARAMETERS *vui =
        session->is_hevc ? &config->encodeCodecConfig.hevcConfig.hevcVUIParameters
                         : &config->encodeCodecConfig.h264Config.h264VUIParameters;

    session->config.primaries = (int)vui->colourPrimaries;
    session->config.transfer = (int)vui->transferCharacteristics;
    session->config.matrix = (int)vui->colourMatrix;
    session->config.is_full_range = vui->videoFullRangeFlag;
}

/*
 * Opened with the next picture: FFmpeg holds a lock while it opens us, which it would wait for
 * when we open its encoders.
 */
static void renew_engine(struct session *session)
{
    engine_close(session->engine);
    session->engine = NULL;
    session->idr_next = true;
}

static NVENCSTATUS nvEncInitializeEncoder(void *encoder, NV_ENC_INITIALIZE_PARAMS *params)
{
    struct session *session = encoder;
    const NV_ENC_CONFIG *config = params->encodeConfig;

    BEGIN;
    if (params->version != NV_ENC_INITIALIZE_PARAMS_VER || !config ||
        config->version != NV_ENC_CONFIG_VER)
        return end(NV_ENC_ERR_INVALID_VERSION);
    if (!params->enablePTD || params->enableEncodeAsync || config->frameIntervalP != 1)
        return end(complain(session, NV_ENC_ERR_UNSUPPORTED_PARAM, "no such mode in the fake"));
    session->is_hevc = same_guid(&params->encodeGUID, &NV_ENC_CODEC_HEVC_GUID);
    session->config.is_hevc = session->is_hevc;
    session->config.width = (int)params->encodeWidth;
    session->config.height = (int)params->encodeHeight;
    session->config.fps_num = (int)params->frameRateNum;
    session->config.fps_den = (int)params->frameRateDen;
    take_rate(session, &config->rcParams);
    take_vui(session, config);
    state.p_interval = (uint32_t)config->frameIntervalP;
    state.preset = preset_number(&params->presetGUID);
    renew_engine(session);
    return end(NV_ENC_SUCCESS);
}

/* The driver may change the rate in place; this one begins anew, as it is asked to (forceIDR). */
static NVENCSTATUS nvEncReconfigureEncoder(void *encoder, NV_ENC_RECONFIGURE_PARAMS *params)
{
    struct session *session = encoder;
    const NV_ENC_CONFIG *config = params->reInitEncodeParams.encodeConfig;

    BEGIN;
    if (params->version != NV_ENC_RECONFIGURE_PARAMS_VER)
        return end(NV_ENC_ERR_INVALID_VERSION);
    if (!params->forceIDR)
        return end(complain(session, NV_ENC_ERR_UNSUPPORTED_PARAM, "no such change in the fake"));
    state.reconfigured++;
    if (config)
        take_rate(session, &config->rcParams);
    renew_engine(session);
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncSetIOCudaStreams(void *encoder, NV_ENC_CUSTREAM_PTR input,
                                         NV_ENC_CUSTREAM_PTR output)
{
    struct session *session = encoder;

    BEGIN;
    (void)output;
    session->stream = *(void **)input;
    state.has_stream = session->stream != NULL;
    return end(NV_ENC_SUCCESS);
}

/* ---- inputs and outputs -------------------------------------------------------------------- */

static size_t row_bytes(NV_ENC_BUFFER_FORMAT format, uint32_t width)
{
    return format == NV_ENC_BUFFER_FORMAT_NV12 ? width : (size_t)width * 4;
}

static size_t resource_bytes(const struct resource *resource)
{
    size_t rows = resource->format == NV_ENC_BUFFER_FORMAT_NV12 ? resource->height * 3ul / 2
                                                                : resource->height;
    return rows * resource->pitch;
}

static NVENCSTATUS nvEncRegisterResource(void *encoder, NV_ENC_REGISTER_RESOURCE *params)
{
    struct session *session = encoder;

    BEGIN;
    struct resource resource = {
        .address = (uint64_t)(uintptr_t)params->resourceToRegister,
        .pitch = params->pitch,
        .height = params->height,
        .format = params->bufferFormat,
    };
    if (params->version != NV_ENC_REGISTER_RESOURCE_VER)
        return end(NV_ENC_ERR_INVALID_VERSION);
    if (params->resourceType != NV_ENC_INPUT_RESOURCE_TYPE_CUDADEVICEPTR ||
        (resource.format != NV_ENC_BUFFER_FORMAT_NV12 &&
         resource.format != NV_ENC_BUFFER_FORMAT_ARGB &&
         resource.format != NV_ENC_BUFFER_FORMAT_ABGR))
        return end(complain(session, NV_ENC_ERR_UNSUPPORTED_PARAM, "no such input in the fake"));
    if (params->pitch % 4 != 0 || params->pitch < row_bytes(params->bufferFormat, params->width))
        return end(complain(session, NV_ENC_ERR_INVALID_PARAM, "pitch"));
    if (!fake_cuda_reach(session->stream, resource.address, 1))
        return end(complain(session, NV_ENC_ERR_RESOURCE_REGISTER_FAILED, "no device memory"));
    for (unsigned i = 0; i < RESOURCES; i++) {
        if (session->resources[i].address)
            continue;
        session->resources[i] = resource;
        state.registrations++;
        state.registered++;
        params->registeredResource = &session->resources[i];
        return end(NV_ENC_SUCCESS);
    }
    return end(NV_ENC_ERR_OUT_OF_MEMORY);
}

static NVENCSTATUS nvEncUnregisterResource(void *encoder, NV_ENC_REGISTERED_PTR registered)
{
    struct session *session = encoder;
    struct resource *resource = registered;

    BEGIN;
    if (!resource->address || resource->is_mapped)
        return end(complain(session, NV_ENC_ERR_INVALID_CALL, "not registered, or mapped"));
    *resource = (struct resource){0};
    state.registrations--;
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncMapInputResource(void *encoder, NV_ENC_MAP_INPUT_RESOURCE *params)
{
    struct session *session = encoder;
    struct resource *resource = params->registeredResource;

    BEGIN;
    if (params->version != NV_ENC_MAP_INPUT_RESOURCE_VER)
        return end(NV_ENC_ERR_INVALID_VERSION);
    if (!resource->address || resource->is_mapped)
        return end(complain(session, NV_ENC_ERR_RESOURCE_NOT_REGISTERED, "or mapped already"));
    resource->is_mapped = true;
    state.mappings++;
    params->mappedResource = resource;
    params->mappedBufferFmt = resource->format;
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncUnmapInputResource(void *encoder, NV_ENC_INPUT_PTR mapped)
{
    struct session *session = encoder;
    struct resource *resource = mapped;

    BEGIN;
    if (!resource->is_mapped)
        return end(complain(session, NV_ENC_ERR_RESOURCE_NOT_MAPPED, "not mapped"));
    resource->is_mapped = false;
    state.mappings--;
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncCreateBitstreamBuffer(void *encoder, NV_ENC_CREATE_BITSTREAM_BUFFER *params)
{
    struct session *session = encoder;

    BEGIN;
    params->bitstreamBuffer = calloc(1, sizeof(struct bitstream));
    if (!params->bitstreamBuffer)
        return end(NV_ENC_ERR_OUT_OF_MEMORY);
    session->bitstreams++;
    state.bitstreams++;
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncDestroyBitstreamBuffer(void *encoder, NV_ENC_OUTPUT_PTR buffer)
{
    struct session *session = encoder;

    BEGIN;
    if (!buffer)
        return end(NV_ENC_ERR_INVALID_PTR);
    free(buffer);
    session->bitstreams--;
    state.bitstreams--;
    return end(NV_ENC_SUCCESS);
}

/* ---- pictures ------------------------------------------------------------------------------ */

static NVENCSTATUS nvEncEncodePicture(void *encoder, NV_ENC_PIC_PARAMS *params)
{
    struct session *session = encoder;
    struct bitstream *bitstream = params->outputBitstream;
    struct resource *input = params->inputBuffer;

    BEGIN;
    if (params->encodePicFlags & NV_ENC_PIC_FLAG_EOS)
        return end(NV_ENC_SUCCESS);
    if (!input->is_mapped)
        return end(complain(session, NV_ENC_ERR_RESOURCE_NOT_MAPPED, "the input is not mapped"));
    *bitstream = (struct bitstream){
        .input = *input,
        .time_stamp = params->inputTimeStamp,
        .is_idr = (params->encodePicFlags & NV_ENC_PIC_FLAG_FORCEIDR) || session->idr_next,
        .is_pending = true,
    };
    session->idr_next = false;
    return end(NV_ENC_SUCCESS);
}

static enum engine_layout layout_of(NV_ENC_BUFFER_FORMAT format)
{
    if (format == NV_ENC_BUFFER_FORMAT_NV12)
        return ENGINE_NV12;
    /* Named as words of 32 bits: ABGR has R first in memory. */
    return format == NV_ENC_BUFFER_FORMAT_ABGR ? ENGINE_RGBX : ENGINE_BGRX;
}

/* Only here is the picture read: until now its memory had to stay as it was. */
static NVENCSTATUS nvEncLockBitstream(void *encoder, NV_ENC_LOCK_BITSTREAM *params)
{
    struct session *session = encoder;
    struct bitstream *bitstream = params->outputBitstream;
    const uint8_t *bytes;
    size_t size_bytes;

    BEGIN;
    if (!bitstream->is_pending)
        return end(complain(session, NV_ENC_ERR_INVALID_CALL, "nothing was coded into it"));
    bitstream->is_pending = false;
    struct engine_picture picture = {
        .pixels = fake_cuda_reach(session->stream, bitstream->input.address,
                                  resource_bytes(&bitstream->input)),
        .stride_bytes = (int)bitstream->input.pitch,
        .layout = layout_of(bitstream->input.format),
    };
    if (!picture.pixels)
        return end(complain(session, NV_ENC_ERR_MAP_FAILED, "the input's memory is gone"));
    if (!session->engine)
        session->engine = engine_open(&session->config);
    if (!session->engine)
        return end(complain(session, NV_ENC_ERR_INVALID_PARAM, "no engine takes this"));
    if (!engine_encode(session->engine, &picture, bitstream->is_idr, &bytes, &size_bytes))
        return end(complain(session, NV_ENC_ERR_GENERIC, "the engine failed"));
    params->bitstreamBufferPtr = (void *)(uintptr_t)bytes;
    params->bitstreamSizeInBytes = (uint32_t)size_bytes;
    params->outputTimeStamp = bitstream->time_stamp;
    params->pictureType = bitstream->is_idr ? NV_ENC_PIC_TYPE_IDR : NV_ENC_PIC_TYPE_P;
    params->frameAvgQP = 1;
    state.pictures++;
    state.idrs += bitstream->is_idr;
    return end(NV_ENC_SUCCESS);
}

static NVENCSTATUS nvEncUnlockBitstream(void *encoder, NV_ENC_OUTPUT_PTR buffer)
{
    (void)encoder;
    (void)buffer;
    BEGIN;
    return end(NV_ENC_SUCCESS);
}

/* ---- what the library exports -------------------------------------------------------------- */

API NVENCSTATUS NvEncodeAPIGetMaxSupportedVersion(uint32_t *ret_version);
API NVENCSTATUS NvEncodeAPIGetMaxSupportedVersion(uint32_t *ret_version)
{
    const char *version = getenv("FAKE_NVENC_VERSION");
    uint32_t major = NVENCAPI_MAJOR_VERSION;
    uint32_t minor = NVENCAPI_MINOR_VERSION;
    char *rest;

    if (version) {
        major = (uint32_t)strtoul(version, &rest, 10);
        minor = *rest == '.' ? (uint32_t)strtoul(rest + 1, NULL, 10) : 0;
    }
    *ret_version = major << 4 | minor;
    return NV_ENC_SUCCESS;
}

API NVENCSTATUS NvEncodeAPICreateInstance(NV_ENCODE_API_FUNCTION_LIST *list);
API NVENCSTATUS NvEncodeAPICreateInstance(NV_ENCODE_API_FUNCTION_LIST *list)
{
    if (list->version != NV_ENCODE_API_FUNCTION_LIST_VER)
        return NV_ENC_ERR_INVALID_VERSION;
    *list = (NV_ENCODE_API_FUNCTION_LIST){
        .version = NV_ENCODE_API_FUNCTION_LIST_VER,
        .nvEncOpenEncodeSessionEx = nvEncOpenEncodeSessionEx,
        .nvEncDestroyEncoder = nvEncDestroyEncoder,
        .nvEncGetLastErrorString = nvEncGetLastErrorString,
        .nvEncGetEncodeGUIDCount = nvEncGetEncodeGUIDCount,
        .nvEncGetEncodeGUIDs = nvEncGetEncodeGUIDs,
        .nvEncGetEncodeCaps = nvEncGetEncodeCaps,
        .nvEncGetEncodePresetConfigEx = nvEncGetEncodePresetConfigEx,
        .nvEncInitializeEncoder = nvEncInitializeEncoder,
        .nvEncReconfigureEncoder = nvEncReconfigureEncoder,
        .nvEncSetIOCudaStreams = nvEncSetIOCudaStreams,
        .nvEncRegisterResource = nvEncRegisterResource,
        .nvEncUnregisterResource = nvEncUnregisterResource,
        .nvEncMapInputResource = nvEncMapInputResource,
        .nvEncUnmapInputResource = nvEncUnmapInputResource,
        .nvEncCreateBitstreamBuffer = nvEncCreateBitstreamBuffer,
        .nvEncDestroyBitstreamBuffer = nvEncDestroyBitstreamBuffer,
        .nvEncEncodePicture = nvEncEncodePicture,
        .nvEncLockBitstream = nvEncLockBitstream,
        .nvEncUnlockBitstream = nvEncUnlockBitstream,
    };
    return NV_ENC_SUCCESS;
}
