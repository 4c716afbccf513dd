#include "base/check.h"
#include "base/config.h"
#include "base/mem.h"
#include "tests/unit/base/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS_MAX = 12 };

/* The test program, started as this, is a program with secrets on its command line. */
#define LOAD_AND_WAIT "load-and-wait"

static const char *const variables[] = {"TEST_BROKER", "TEST_OUTPUT", "TEST_COUNT",
                                        "TEST_JSON",   "TEST_SECRET", "TEST_WIPED"};

static struct option options[] = {
    {.name = "test-broker", .help = "broker address", .fallback = "tcp://127.0.0.1:1883"},
    {.name = "test-output", .help = "file to write", .letter = 'o'},
    {.name = "test-count",
     .help = "a number",
     .fallback = "7",
     .kind = OPTION_UINT,
     .min = 1,
     .max = 10},
    {.name = "test-secret", .help = "what nobody sees", .secret = true},
    {.name = "test-wiped", .help = "what is seen for a moment", .letter = 'w', .wiped = true},
    {.name = "test-json", .help = "for a program to read", .kind = OPTION_FLAG},
    {.name = NULL},
};

static char error[CONFIG_ERROR_BYTES];
static const char *positional[ARGS_MAX];
static int positional_n;

static int enter(void **state)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    return scratch_enter(state);
}

static int leave(void **state)
{
    config_release(options);
    return scratch_leave(state);
}

/* config_load of arguments separated by one space each; "" is none. */
static enum err load(const char *line)
{
    static char copy[OPTION_VALUE_BYTES_MAX + 100];
    char *argv[ARGS_MAX];
    int argc = 0;
    config_release(options);
    error[0] = '\0';
    positional_n = -1;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *save, *arg = strtok_r(copy, " ", &save); arg; arg = strtok_r(NULL, " ", &save))
        argv[argc++] = arg;
    return config_load(options, argc, argv, positional, &positional_n, error);
}

static void assert_refused(const char *line, const char *sentence)
{
    assert_int_equal(load(line), ERR_FORMAT);
    assert_string_equal(error, sentence);
    assert_int_equal(positional_n, -1);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(load(""), ERR_OK);
    assert_string_equal(config_text(options, "test-broker"), "tcp://127.0.0.1:1883");
    assert_null(config_text(options, "test-output"));
    assert_int_equal(config_uint(options, "test-count"), 7);
    assert_false(config_flag(options, "test-json"));
    assert_int_equal(positional_n, 0);
}

static void test_precedence(void **state)
{
    (void)state;
    scratch_put(".env", "TEST_BROKER=from-file\nTEST_COUNT=3\n");
    assert_int_equal(load(""), ERR_OK);
    assert_string_equal(config_text(options, "test-broker"), "from-file");
    assert_int_equal(config_uint(options, "test-count"), 3);

    setenv("TEST_BROKER", "from-environment", 1);
    assert_int_equal(load(""), ERR_OK);
    assert_string_equal(config_text(options, "test-broker"), "from-environment");
    assert_int_equal(config_uint(options, "test-count"), 3);

    assert_int_equal(load("--test-broker from-flag --test-count=4"), ERR_OK);
    assert_string_equal(config_text(options, "test-broker"), "from-flag");
    assert_int_equal(config_uint(options, "test-count"), 4);

    setenv("TEST_BROKER", "", 1);
    assert_int_equal(load(""), ERR_OK);
    assert_string_equal(config_text(options, "test-broker"), "");
}

static void test_env_file_forms(void **state)
{
    (void)state;
    scratch_put(".env", "# TEST_BROKER=comment\r\n"
                        "\r\n"
                        "TEST_BROKERS=other\r\n"
                        "XTEST_BROKER=other\r\n"
                        "TEST_BROKER=earlier\r\n"
                        "export TEST_BROKER=\"quoted = value\"\r\n"
                        "TEST_OUTPUT='single'\n"
                        "TEST_JSON=yes");
    assert_int_equal(load(""), ERR_OK);
    assert_string_equal(config_text(options, "test-broker"), "quoted = value");
    assert_string_equal(config_text(options, "test-output"), "single");
    assert_true(config_flag(options, "test-json"));

    scratch_put(".env", "TEST_BROKER=\nTEST_OUTPUT=\"\nTEST_JSON=\n");
    assert_int_equal(load(""), ERR_OK);
    assert_string_equal(config_text(options, "test-broker"), "");
    assert_string_equal(config_text(options, "test-output"), "\"");
    assert_false(config_flag(options, "test-json"));

    scratch_put(".env", "");
    assert_int_equal(load(""), ERR_OK);
    assert_string_equal(config_text(options, "test-broker"), "tcp://127.0.0.1:1883");
}

static void test_env_file_limits(void **state)
{
    (void)state;
    CLEANUP(mem_free_ptr) char *text = mem_alloc(CONFIG_ENV_FILE_BYTES_MAX + 2);
    memset(text, '#', CONFIG_ENV_FILE_BYTES_MAX);
    scratch_put(".env", text);
    assert_int_equal(load(""), ERR_OK);
    text[CONFIG_ENV_FILE_BYTES_MAX] = '#';
    scratch_put(".env", text);
    assert_refused("", ".env cannot be read (too large); mend or remove it");
    assert_int_equal(unlink(".env"), 0);
    assert_int_equal(mkdir(".env", 0700), 0);
    assert_refused("", ".env cannot be read (Is a directory); mend or remove it");
}

static void test_letters(void **state)
{
    (void)state;
    assert_int_equal(load("-o file"), ERR_OK);
    assert_string_equal(config_text(options, "test-output"), "file");
    assert_int_equal(load("-o -"), ERR_OK);
    assert_string_equal(config_text(options, "test-output"), "-");
    assert_refused("-o", "-o needs a value: file to write");
    assert_refused("-x", "there is no option -x; --help lists them");
    assert_refused("-of", "there is no option -of; --help lists them");
}

static void test_positional(void **state)
{
    (void)state;
    assert_int_equal(load("first --test-count 2 - --test-json second -- --test-count -o"), ERR_OK);
    static const char *const expected[] = {"first", "-", "second", "--test-count", "-o"};
    assert_int_equal(positional_n, 5);
    for (int i = 0; i < positional_n; i++)
        assert_string_equal(positional[i], expected[i]);
    assert_int_equal(config_uint(options, "test-count"), 2);
    assert_true(config_flag(options, "test-json"));
}

static void test_unsigned_numbers(void **state)
{
    static const char *const refused[] = {"0", "11",  "-1", "+1",  "1x",
                                          "x", "1.5", "",   "0x5", "18446744073709551616"};
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char line[64], sentence[128];
        snprintf(line, sizeof(line), "--test-count=%s", refused[i]);
        snprintf(sentence, sizeof(sentence),
                 "--test-count is '%s'; give a whole number from 1 to 10", refused[i]);
        assert_refused(line, sentence);
    }
    assert_int_equal(load("--test-count 1"), ERR_OK);
    assert_int_equal(load("--test-count 10"), ERR_OK);
    assert_int_equal(config_uint(options, "test-count"), 10);
    struct option wide[] = {
        {.name = "wide", .fallback = "0", .kind = OPTION_UINT, .max = UINT64_MAX}, {.name = NULL}};
    char *argv[] = {"--wide", "18446744073709551615"};
    assert_int_equal(config_load(wide, 2, argv, positional, &positional_n, error), ERR_OK);
    assert_true(config_uint(wide, "wide") == UINT64_MAX);
    config_release(wide);
}

static void test_flags(void **state)
{
    (void)state;
    assert_int_equal(load("--test-json"), ERR_OK);
    assert_true(config_flag(options, "test-json"));
    assert_int_equal(load("--test-json=no"), ERR_OK);
    assert_false(config_flag(options, "test-json"));
    assert_refused("--test-json=maybe", "--test-json is 'maybe'; give 1 or 0");
    setenv("TEST_JSON", "true", 1);
    assert_int_equal(load(""), ERR_OK);
    assert_true(config_flag(options, "test-json"));
    assert_int_equal(load("--test-json=0"), ERR_OK);
    assert_false(config_flag(options, "test-json"));
    setenv("TEST_JSON", "2", 1);
    assert_refused("", "TEST_JSON is '2'; give 1 or 0");
}

static void test_errors_say_where(void **state)
{
    (void)state;
    assert_refused("--nothing", "there is no option --nothing; --help lists them");
    assert_refused("--nothing=1", "there is no option --nothing; --help lists them");
    assert_refused("--test", "there is no option --test; --help lists them");
    assert_refused("--test-broker", "--test-broker needs a value: broker address");
    scratch_put(".env", "TEST_COUNT=many\n");
    assert_refused("", "TEST_COUNT in .env is 'many'; give a whole number from 1 to 10");
    setenv("TEST_COUNT", "eleven", 1);
    assert_refused("", "TEST_COUNT is 'eleven'; give a whole number from 1 to 10");
}

static void test_value_length(void **state)
{
    (void)state;
    static char line[OPTION_VALUE_BYTES_MAX + 20] = "--test-output=";
    size_t name_len = strlen(line);
    memset(line + name_len, 'v', OPTION_VALUE_BYTES_MAX);
    assert_int_equal(load(line), ERR_OK);
    assert_int_equal(strlen(config_text(options, "test-output")), OPTION_VALUE_BYTES_MAX);
    line[name_len + OPTION_VALUE_BYTES_MAX] = 'v';
    assert_refused(line, "--test-output is longer than 4096 bytes; shorten it");
}

static void print_help(void)
{
    config_print_help(options);
}

static void test_help(void **state)
{
    (void)state;
    char text[1024];
    scratch_capture(STDOUT_FILENO, print_help, text, sizeof(text));
    assert_string_equal(
        text, "      --test-broker            broker address (default tcp://127.0.0.1:1883)\n"
              "  -o, --test-output            file to write\n"
              "      --test-count             a number (default 7)\n"
              "  -w, --test-wiped             what is seen for a moment\n"
              "      --test-json              for a program to read\n"
              "\nOnly in the environment or in .env:\n"
              "      TEST_SECRET              what nobody sees\n");
}

static void test_asked(void **state)
{
    (void)state;
    char help[] = "--help", other[] = "--helpful", end[] = "--";
    char *with[] = {other, help, end}, *behind[] = {other, end, help};
    assert_false(config_asked(0, with, "--help"));
    assert_false(config_asked(1, with, "--help"));
    assert_true(config_asked(3, with, "--help"));
    assert_false(config_asked(3, behind, "--help"));
}

static void test_secrets(void **state)
{
    (void)state;
    const char *refusal = "--test-secret is no option, for all can read a command line; set "
                          "TEST_SECRET in the environment or in .env";
    assert_refused("--test-secret=abc", refusal);
    assert_refused("--test-secret abc", refusal);
    assert_refused("--test-secret", refusal);
    scratch_put(".env", "TEST_SECRET=in the file\n");
    assert_int_equal(load(""), ERR_OK);
    assert_string_equal(config_text(options, "test-secret"), "in the file");
    setenv("TEST_SECRET", "in the environment", 1);
    assert_int_equal(load("--test-output x"), ERR_OK);
    assert_string_equal(config_text(options, "test-secret"), "in the environment");
    config_forget(options);
    assert_null(config_text(options, "test-secret"));
    assert_string_equal(config_text(options, "test-output"), "x");
    config_forget(options);
}

/* Whether all users of the machine can read a text on the command line of a process. */
static bool on_command_line(pid_t pid, const char *text)
{
    char path[64], line[1024];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t n = fread(line, 1, sizeof(line), file);
    fclose(file);
    return memmem(line, n, text, strlen(text)) != NULL;
}

/* What main is started as for test_command_line: says how the loading went, and waits to be read.
 */
static int load_and_wait(int argc, char **argv)
{
    const char *found[ARGS_MAX];
    int n;
    char why[CONFIG_ERROR_BYTES];
    enum err err = config_load(options, argc, argv, found, &n, why);
    const char *value = err == ERR_OK ? config_text(options, "test-wiped") : why;
    puts(value ? value : "");
    fflush(stdout);
    getchar();
    config_release(options);
    return 0;
}

struct started {
    pid_t pid;
    int to, from;
    char said[CONFIG_ERROR_BYTES];
};

static struct started start(const char *argument, const char *value)
{
    int to[2], from[2];
    struct started s;
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    s.pid = fork();
    assert_true(s.pid >= 0);
    if (s.pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[1]);
        execl("/proc/self/exe", "test_config", LOAD_AND_WAIT, argument, value, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    s.to = to[1];
    s.from = from[0];
    FILE *file = fdopen(s.from, "r");
    assert_non_null(fgets(s.said, sizeof(s.said), file));
    s.said[strcspn(s.said, "\n")] = '\0';
    assert_true(on_command_line(s.pid, LOAD_AND_WAIT));
    fclose(file);
    return s;
}

static void stop(const struct started *s)
{
    close(s->to);
    assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
}

static void test_command_line(void **state)
{
    (void)state;
    const char *const forms[][2] = {{"--test-wiped=s3cret", NULL},
                                    {"--test-wiped", "s3cret"},
                                    {"-w", "s3cret"},
                                    {"--test-secret", "s3cret"},
                                    {"--test-secret=s3cret", NULL}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct started s = start(forms[i][0], forms[i][1]);
        assert_false(on_command_line(s.pid, "s3cret"));
        if (i < 3)
            assert_string_equal(s.said, "s3cret");
        else
            assert_non_null(strstr(s.said, "--test-secret is no option"));
        stop(&s);
    }
    struct started s = start("--test-output=plain", NULL);
    assert_true(on_command_line(s.pid, "plain"));
    stop(&s);
}

static void test_wiped(void **state)
{
    (void)state;
    assert_int_equal(load("--test-wiped abc"), ERR_OK);
    assert_string_equal(config_text(options, "test-wiped"), "abc");
    config_forget(options);
    assert_null(config_text(options, "test-wiped"));
    assert_int_equal(load("--test-wiped="), ERR_OK);
    assert_string_equal(config_text(options, "test-wiped"), "");
    assert_refused("--test-wiped", "--test-wiped needs a value: what is seen for a moment");
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], LOAD_AND_WAIT) == 0)
        return load_and_wait(argc - 2, argv + 2);
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(test_defaults),
        IN_SCRATCH(test_precedence),
        IN_SCRATCH(test_env_file_forms),
        IN_SCRATCH(test_env_file_limits),
        IN_SCRATCH(test_letters),
        IN_SCRATCH(test_positional),
        IN_SCRATCH(test_unsigned_numbers),
        IN_SCRATCH(test_flags),
        IN_SCRATCH(test_errors_say_where),
        IN_SCRATCH(test_value_length),
        IN_SCRATCH(test_help),
        IN_SCRATCH(test_asked),
        IN_SCRATCH(test_secrets),
        IN_SCRATCH(test_wiped),
        IN_SCRATCH(test_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
