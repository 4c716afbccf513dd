/*
 * The one includer of MQTTAsync.h: translates, and decides nothing.
 *
 * I1  MQTT 3.1.1, clean session, nothing persisted, nothing buffered while
 *     disconnected: every message under way is known to the bus, which sends it
 *     again from its own state.
 * I2  TLS verifies the chain and the host name (Paho's default leaves the name
 *     unchecked).
 * I3  A received message is always taken: returning 0 would make Paho hoard it.
 */
#include "bus/paho.h"

#include "base/check.h"
#include "base/mem.h"

#include <MQTTAsync.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct paho {
    MQTTAsync handle;
    const struct paho_listener *listener;
    void *owner;
    bool tls;
    char tls_text[PAHO_TEXT_BYTES]; /* OpenSSL's last words; Paho's receive thread */
};

static void on_connected(void *context, char *cause)
{
    struct paho *paho = context;
    (void)cause;
    paho->listener->connected(paho->owner);
}

/* Without an onSuccess, Paho would report a connection that dies much later as
 * a failed connect as well. */
static void on_connect_success(void *context, MQTTAsync_successData *data)
{
    (void)context;
    (void)data;
}

enum { CONNACK_WRONG_PASSWORD = 4, CONNACK_NOT_AUTHORISED = 5 };

static const char *connack_text(int code)
{
    switch (code) {
    case 1: return "it does not speak MQTT 3.1.1";
    case 2: return "it refuses this client id";
    case 3: return "it is not available now";
    case CONNACK_WRONG_PASSWORD: return "wrong user name or password";
    case CONNACK_NOT_AUTHORISED: return "not authorised to connect";
    default: return NULL;
    }
}

static void on_connect_failure(void *context, MQTTAsync_failureData *data)
{
    struct paho *paho = context;
    const char *text = data ? connack_text(data->code) : NULL;
    if (!text && paho->tls_text[0])
        text = paho->tls_text;
    if (!text && data && data->message && strstr(data->message, "timeout"))
        text = "no answer in time";
    if (!text) /* Paho does not tell these apart */
        text = paho->tls ? "its certificate is not for this host name, or connection refused, or "
                           "host unknown or unreachable"
                         : "connection refused, or host unknown or unreachable";
    bool denied =
        data && (data->code == CONNACK_WRONG_PASSWORD || data->code == CONNACK_NOT_AUTHORISED);
    paho->listener->connect_failed(paho->owner, text, denied);
    paho->tls_text[0] = '\0';
}

/* The reason in what OpenSSL says: "THREAD:error:CODE:library:function:reason:file:line:…". */
static struct slice tls_reason(struct slice text)
{
    enum { COLONS_BEFORE_REASON = 5 };
    struct slice reason = text;
    for (int i = 0; i < COLONS_BEFORE_REASON; i++) {
        const uint8_t *colon = memchr(reason.ptr, ':', reason.len);
        if (!colon)
            return text;
        reason = slice_from(reason, (size_t)(colon - reason.ptr) + 1);
    }
    const uint8_t *end = memchr(reason.ptr, ':', reason.len);
    return end ? slice_of(reason.ptr, (size_t)(end - reason.ptr)) : reason;
}

static int on_tls_error(const char *str, size_t len, void *context)
{
    struct paho *paho = context;
    while (len && (str[len - 1] == '\n' || str[len - 1] == '\r'))
        len--;
    struct slice reason = tls_reason(slice_of(str, len));
    snprintf(paho->tls_text, sizeof(paho->tls_text), "TLS: %.*s", (int)reason.len,
             (const char *)reason.ptr);
    return 1;
}

static void on_lost(void *context, char *cause)
{
    struct paho *paho = context;
    (void)cause;
    paho->listener->lost(paho->owner);
}

static int on_received(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct paho *paho = context;
    size_t len = topic_len > 0 ? (size_t)topic_len : strlen(topic);
    paho->listener->received(paho->owner, slice_of(topic, len),
                             slice_of(message->payload, (size_t)message->payloadlen),
                             (struct paho_message){.message = message, .topic = topic});
    return 1; /* I3 */
}

enum err paho_new(const char *uri, const char *client_id, const struct paho_listener *listener,
                  void *owner, struct paho **ret_paho)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
    options.MQTTVersion = MQTTVERSION_3_1_1; /* I1 */
    options.sendWhileDisconnected = 0;
    options.restoreMessages = 0;
    options.persistQoS0 = 0;
    struct paho *paho = mem_alloc(sizeof(*paho));
    paho->listener = listener;
    paho->owner = owner;
    if (MQTTAsync_createWithOptions(&paho->handle, uri, client_id, MQTTCLIENT_PERSISTENCE_NONE,
                                    NULL, &options) != MQTTASYNC_SUCCESS) {
        free(paho);
        return ERR_IO;
    }
    CHECK(MQTTAsync_setCallbacks(paho->handle, paho, on_lost, on_received, NULL) ==
          MQTTASYNC_SUCCESS);
    CHECK(MQTTAsync_setConnected(paho->handle, paho, on_connected) == MQTTASYNC_SUCCESS);
    *ret_paho = paho;
    return ERR_OK;
}

void paho_free(struct paho *paho)
{
    if (!paho)
        return;
    MQTTAsync_destroy(&paho->handle);
    free(paho);
}

enum err paho_connect(struct paho *paho, const struct paho_options *options,
                      char ret_text[static PAHO_TEXT_BYTES])
{
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    connect.MQTTVersion = MQTTVERSION_3_1_1; /* I1 */
    connect.cleansession = 1;
    connect.keepAliveInterval = options->keep_alive_s;
    connect.connectTimeout = options->connect_timeout_s;
    connect.username = options->user;
    connect.password = options->password;
    connect.onSuccess = on_connect_success;
    connect.onFailure = on_connect_failure;
    connect.context = paho;
    paho->tls = options->tls;
    if (options->tls) {
        ssl.trustStore = options->ca_file;
        ssl.keyStore = options->cert_file;
        ssl.privateKey = options->key_file;
        ssl.enableServerCertAuth = 1; /* I2 */
        ssl.verify = 1;
        ssl.ssl_error_cb = on_tls_error;
        ssl.ssl_error_context = paho;
        connect.ssl = &ssl;
    }
    if (options->will_topic) {
        will.topicName = options->will_topic;
        will.payload.data = options->will_payload.ptr;
        will.payload.len = (int)options->will_payload.len;
        will.qos = 1;
        connect.will = &will;
    }
    int rc = MQTTAsync_connect(paho->handle, &connect);
    if (rc == MQTTASYNC_SUCCESS)
        return ERR_OK;
    const char *text = MQTTAsync_strerror(rc);
    snprintf(ret_text, PAHO_TEXT_BYTES, "%s (%d)", text ? text : "refused by the library", rc);
    return ERR_IO;
}

static void on_disconnect_success(void *context, MQTTAsync_successData *data)
{
    struct paho *paho = context;
    (void)data;
    paho->listener->disconnected(paho->owner);
}

static void on_disconnect_failure(void *context, MQTTAsync_failureData *data)
{
    struct paho *paho = context;
    (void)data;
    paho->listener->disconnected(paho->owner);
}

enum err paho_disconnect(struct paho *paho)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    options.timeout = 0;
    options.onSuccess = on_disconnect_success;
    options.onFailure = on_disconnect_failure;
    options.context = paho;
    return MQTTAsync_disconnect(paho->handle, &options) == MQTTASYNC_SUCCESS ? ERR_OK : ERR_IO;
}

static void on_subscribe_success(void *context, MQTTAsync_successData *data)
{
    struct paho_ask *ask = context;
    ask->answered(ask, true, data->alt.qos != MQTT_BAD_SUBSCRIBE);
}

static void on_subscribe_failure(void *context, MQTTAsync_failureData *data)
{
    struct paho_ask *ask = context;
    ask->answered(ask, data && data->code == MQTT_BAD_SUBSCRIBE, false);
}

enum err paho_subscribe(struct paho *paho, const char *filter, int qos, struct paho_ask *ask)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_subscribe_success;
    options.onFailure = on_subscribe_failure;
    options.context = ask;
    int rc = MQTTAsync_subscribe(paho->handle, filter, qos, &options);
    return rc == MQTTASYNC_SUCCESS ? ERR_OK : ERR_IO;
}

enum err paho_unsubscribe(struct paho *paho, const char *filter)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    int rc = MQTTAsync_unsubscribe(paho->handle, filter, &options);
    return rc == MQTTASYNC_SUCCESS ? ERR_OK : ERR_IO;
}

static void on_send_success(void *context, MQTTAsync_successData *data)
{
    struct paho_send *send = context;
    (void)data;
    send->done(send, true);
}

static void on_send_failure(void *context, MQTTAsync_failureData *data)
{
    struct paho_send *send = context;
    (void)data;
    send->done(send, false);
}

enum err paho_publish(struct paho *paho, const char *topic, struct slice payload, int qos,
                      bool retained, struct paho_send *send)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_send_success;
    options.onFailure = on_send_failure;
    options.context = send;
    if (payload.len > INT_MAX)
        return ERR_FORMAT;
    int rc =
        MQTTAsync_send(paho->handle, topic, (int)payload.len, payload.ptr, qos, retained, &options);
    if (rc == MQTTASYNC_SUCCESS)
        return ERR_OK;
    return rc == MQTTASYNC_DISCONNECTED ? ERR_CLOSED : ERR_FORMAT;
}

void paho_message_free(struct paho_message memory)
{
    MQTTAsync_message *message = memory.message;
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(memory.topic);
}
