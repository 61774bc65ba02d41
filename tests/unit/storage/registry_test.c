/* SPDX-License-Identifier: Apache-2.0 */
/* Challenges, token servers, redirects, files of credentials, references: the parts without a net.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "storage/auth.h"
#include "storage/credentials.h"
#include "storage/reference.h"
#include "storage/registry_internal.h"
#include "tests/tap.h"

static void test_challenges(void)
{
        static const struct {
                const char *value;
                bool basic, bearer;
                const char *realm, *service, *scope;
        } cases[] = {
                {"Basic realm=\"x\"", true, false, NULL, NULL, NULL},
                {"Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a:pull\"", false,
                 true, "https://a/t", "s", "repository:a:pull"},
                {"Bearer realm=https://a/t , service=s", false, true, "https://a/t", "s", NULL},
                {"Basic realm=\"b\", Bearer realm=\"https://a/t\"", true, true, "https://a/t", NULL,
                 NULL},
                {"bearer REALM=\"https://a/t\",service=\"a,b \\\"c\\\"\"", false, true,
                 "https://a/t", "a,b \"c\"", NULL},
                {"Negotiate, Bearer realm=\"https://a/t", false, true, "https://a/t", NULL, NULL},
                {"", false, false, NULL, NULL, NULL},
                {",,==\"", false, false, NULL, NULL, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct challenge c = {0};

                challenge_add(&c, cases[i].value);
                ok(c.basic == cases[i].basic && c.bearer == cases[i].bearer &&
                           streq(c.realm, cases[i].realm) && streq(c.service, cases[i].service) &&
                           streq(c.scope, cases[i].scope),
                   "challenge: %s", cases[i].value);
                challenge_release(&c);
        }
}

static void test_realms(void)
{
        static const struct {
                const char *host, *realm;
                bool http, loopback, allowed;
        } cases[] = {
                {"r.test", "https://auth.test/token", false, false, true},
                {"r.test", "http://auth.test/token", false, false, false},
                {"r.test", "https://127.0.0.1/token", false, false, false},
                {"r.test", "https://2130706433/token", false, false, false},
                {"r.test", "https://localhost/token", false, false, false},
                {"r.test", "https://169.254.169.254/token", false, false, false},
                {"r.test", "https://10.1.2.3/token", false, false, false},
                {"r.test", "https://[::1]/token", false, false, false},
                {"r.test", "https://[::ffff:169.254.169.254]/", false, false, false},
                {"r.test", "https://user:pw@auth.test/", false, false, false},
                {"r.test", "ftp://auth.test/", false, false, false},
                {"r.test", "/token", false, false, false},
                {"r.test", NULL, false, false, false},
                {"10.1.2.3:5000", "https://10.1.2.3/token", false, false, true},
                {"127.0.0.1:5000", "http://127.0.0.1:6000/token", true, true, true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct registry_endpoint endpoint = {.host = (char *)(uintptr_t)cases[i].host,
                                                           .account =
                                                                   (char *)(uintptr_t)cases[i].host,
                                                           .loopback = cases[i].loopback};
                struct err err = ERR_INIT;

                is_int(auth_realm_check(cases[i].realm, &endpoint, cases[i].http, &err),
                       cases[i].allowed ? 0 : -EACCES, "%s: realm %s", cases[i].host,
                       cases[i].realm ? cases[i].realm : "(none)");
        }
}

static void test_redirects(void)
{
        const struct registry_endpoint far = {.host = (char *)(uintptr_t) "r.test"};
        const struct registry_endpoint here = {.host = (char *)(uintptr_t) "127.0.0.1:5000",
                                               .loopback = true};

        ok(auth_redirect_allowed("https://cdn.test/blob", &far, false), "https to another host");
        ok(!auth_redirect_allowed("http://cdn.test/blob", &far, false), "not from https to http");
        ok(!auth_redirect_allowed("http://cdn.test/blob", &here, true), "http leaves no machine");
        ok(auth_redirect_allowed("http://localhost:1/blob", &here, true), "http stays on it");
        ok(!auth_redirect_allowed("https://127.0.0.1/blob", &far, false), "nothing leads here");
        ok(!auth_redirect_allowed("https://169.254.169.254/", &here, true), "nor to a link");
        ok(!auth_redirect_allowed("file:///etc/passwd", &here, true), "nor to files");
}

static void test_credentials(void)
{
        static const char text[] =
                "{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": \"aHViOng=\"},"
                " \"r.test:5000\": {\"auth\": \"bWU6c2U6Y3JldA==\"},"
                " \"r.test:5000/team\": {\"username\": \"team\", \"password\": \"p\"},"
                " \"http://old.test/v2/\": {\"identitytoken\": \"t\"}},"
                " \"credHelpers\": {\"help.test\": \"one\", \"https://hub.test/v1/\": \"two\","
                " \"plain.test:5000\": \"\"}, \"credsStore\": \"\"}";

        static const struct {
                const char *host, *path, *user, *password, *token, *helper;
        } cases[] = {
                {"docker.io", "library/redis", "hub", "x", NULL, NULL},
                {"r.test:5000", "web", "me", "se:cret", NULL, NULL},
                {"r.test:5000", "team/web", "team", "p", NULL, NULL},
                {"r.test:5000", "teams/web", "me", "se:cret", NULL, NULL},
                {"old.test", "a", NULL, NULL, "t", NULL},
                {"help.test", "a", NULL, NULL, NULL, "one"},
                {"hub.test", "a", NULL, NULL, NULL, "two"},
                {"plain.test:5000", "a", NULL, NULL, NULL, NULL},
                {"r.test", "a", NULL, NULL, NULL, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *helper = NULL;
                struct credentials c;
                struct err err = ERR_INIT;

                ok(credentials_parse(text, strlen(text), "file", cases[i].host, cases[i].path, &c,
                                     &helper, &err) == 0 &&
                           streq(c.username, cases[i].user) &&
                           streq(c.password, cases[i].password) &&
                           streq(c.identity_token, cases[i].token) &&
                           streq(helper, cases[i].helper),
                   "credentials of %s/%s", cases[i].host, cases[i].path);
                credentials_release(&c);
        }
}

/* Case 77 of docs/images.md: root reads every file, so whoever it is here is somebody else. */
static void test_unreadable(void)
{
        char folder[] = "/tmp/berth-credentials.XXXXXX";
        AUTO_FREE char *file = NULL;
        int status = -1;
        pid_t child;

        ok(mkdtemp(folder) && chmod(folder, 0711) == 0, "a folder");
        file = xasprintf("%s/config.json", folder);
        ok(file_write_atomic(file, "{}", 2, 0000, NULL) == 0, "with a file that nobody may read");
        child = fork();
        if (child == 0) {
                struct credentials c = {0};
                struct err err = ERR_INIT;

                if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
                        _exit(1);
                if (credentials_find("r.test", "web", file, &c, &err) != -EACCES)
                        _exit(2);
                _exit(strstr(err.msg, file) && strstr(err.msg, "Permission denied") ? 0 : 3);
        }
        ok(child > 0 && waitpid(child, &status, 0) == child && status == 0,
           "77 it is an error that names the file (%d)", status);
        (void)unlink(file); /* what is left of a test that failed is in /tmp */
        (void)rmdir(folder);
}

static void test_references(void)
{
        static const struct {
                const char *text, *host, *path, *tag;
                bool digest;
        } cases[] = {
                {"redis", "docker.io", "library/redis", "latest", false},
                {"localhost:5000/a/b:1", "localhost:5000", "a/b", "1", false},
                {"[::1]:5000/x", "[::1]:5000", "x", "latest", false},
                {"q.io/a:1@sha256:"
                 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                 "q.io", "a", "1", true},
                {"q.io/a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                 "q.io", "a", NULL, true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(reference) struct reference *r = NULL;
                struct err err = ERR_INIT;

                ok(reference_parse(cases[i].text, &r, &err) == 0 && streq(r->host, cases[i].host) &&
                           streq(r->path, cases[i].path) && streq(r->tag, cases[i].tag) &&
                           (r->digest != NULL) == cases[i].digest,
                   "reference %s", cases[i].text);
        }
}

static void test_times(void)
{
        is_int(http_retry_after("7"), 7, "seconds");
        is_int(http_retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), 0, "a date that is over");
        ok(http_retry_after("Fri, 31 Dec 2199 23:59:59 GMT") > 1000000, "one to come");
        is_int(http_retry_after("soon"), -1, "nonsense");
        is_int(registry_delay_ms(50, 1, "7"), 7000, "a wait as it was told");
        is_int(registry_delay_ms(50, 1, "2147483647"), REGISTRY_WAIT_MAX_MS, "but not 68 years");
        is_int(registry_delay_ms(50, 1, "Fri, 31 Dec 2199 23:59:59 GMT"), REGISTRY_WAIT_MAX_MS,
               "nor until a date far ahead");
        ok(registry_delay_ms(50, 1, "99999999999999999999") <= 60,
           "a number past all bounds is none");
        ok(registry_delay_ms(1000, 40, NULL) <= 36000, "half a minute without being told");
        ok(http_url_same_origin("https://a/x", "https://A:443/y"), "the default port is a port");
        ok(!http_url_same_origin("https://a/x", "http://a/x"), "another scheme");
        ok(!http_url_same_origin("https://a/", "https://a:444/"), "another port");
}

int main(void)
{
        test_challenges();
        test_realms();
        test_redirects();
        test_credentials();
        test_unreadable();
        test_unreadable();
        test_references();
        test_times();
        return tap_done();
}
