/* TLS: the chain and the host name are both checked. Certificates are made by openssl(1). */
#include "broker.h"

static char folder[] = "/tmp/bus-tls-XXXXXX";
static struct broker broker;

static void run(const char *const argv[])
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A self-signed certificate for a host: NAME.pem and NAME.key in the folder. */
static void make(const char *name, const char *host)
{
    char key[64], pem[64], alt_name[64];
    snprintf(key, sizeof(key), "%s/%s.key", folder, name);
    snprintf(pem, sizeof(pem), "%s/%s.pem", folder, name);
    snprintf(alt_name, sizeof(alt_name), "subjectAltName=%s", host);
    run((const char *const[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                              "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                              "/CN=test", "-addext", alt_name, "-keyout", key, "-out", pem, NULL});
}

static int start(void **state)
{
    (void)state;
    char extra[512];
    assert_non_null(mkdtemp(folder));
    make("here", "IP:127.0.0.1");
    make("other", "DNS:elsewhere.example");
    snprintf(extra, sizeof(extra), "certfile %s/here.pem\nkeyfile %s/here.key\n", folder, folder);
    broker_prepare(&broker, extra);
    broker_start(&broker);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    broker_remove(&broker);
    run((const char *const[]){"rm", "-r", folder, NULL});
    return 0;
}

static void expect_refusal(const struct broker *at, const char *ca_file)
{
    char uri[96];
    char text[BUS_ERROR_BYTES];
    struct bus_config config = bus_test_config(at, "tls");
    snprintf(uri, sizeof(uri), "mqtts://%s", at->uri);
    config.broker = uri;
    config.ca_file = ca_file;
    config.lanes_n = 1;
    struct bus *bus = bus_test_open(&config);
    error_wait(bus, text);
    struct bus_event event;
    assert_false(bus_event_take(bus, &event));
    bus_close(bus);
}

static void a_known_certificate_of_this_host_is_accepted(void **state)
{
    (void)state;
    char uri[96], ca[64];
    struct bus_config config = bus_test_config(&broker, "tls");
    snprintf(uri, sizeof(uri), "mqtts://%s", broker.uri);
    snprintf(ca, sizeof(ca), "%s/here.pem", folder);
    config.broker = uri;
    config.ca_file = ca;
    struct bus *bus = bus_test_open(&config);
    assert_int_equal(bus_subscribe(bus, CONTROL, slice_str("c"), 1, NULL), ERR_OK);
    bus_wait_connected(bus, 2);
    publish_text(bus, CONTROL, "c", "sealed");
    expect_text(bus, CONTROL, "c", "sealed");
    bus_close(bus);
}

static void an_unknown_certificate_is_refused(void **state)
{
    (void)state;
    char ca[64];
    snprintf(ca, sizeof(ca), "%s/other.pem", folder);
    expect_refusal(&broker, ca);
    expect_refusal(&broker, NULL);
}

static void another_hosts_certificate_is_refused(void **state)
{
    (void)state;
    char extra[512], ca[64];
    struct broker impostor;
    snprintf(extra, sizeof(extra), "certfile %s/other.pem\nkeyfile %s/other.key\n", folder, folder);
    snprintf(ca, sizeof(ca), "%s/other.pem", folder);
    broker_prepare(&impostor, extra);
    broker_start(&impostor);
    expect_refusal(&impostor, ca);
    broker_remove(&impostor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_certificate_of_this_host_is_accepted),
        cmocka_unit_test(an_unknown_certificate_is_refused),
        cmocka_unit_test(another_hosts_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
