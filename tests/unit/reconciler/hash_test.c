/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "reconciler/reconcile.h"
#include "schema/load.h"
#include "tests/scenario/world.h"
#include "tests/tap.h"

static struct world world;

/* Hash of service "web" in a stack of the lines. */
static char *hash_of(char *const *lines, size_t len, const char *secret)
{
        struct stack *stack = world_stack(&world, "shop");
        char *hash = xcalloc(1, DIGEST_TEXT_MAX);

        world_source(stack, true, secret);
        for (size_t i = 0; i < len; i++) {
                AUTO_FREE char *copy = xstrdup(lines[i]);
                char *words[8], *save = NULL;
                size_t n = 0;

                for (char *w = strtok_r(copy, " ", &save); w && n < 8;
                     w = strtok_r(NULL, " ", &save))
                        words[n++] = w;
                (void)world_service(stack, words, n);
        }
        spec_hash(stack, stack_find_service(stack, "web"), hash);
        return hash;
}

static char *web(const char *words)
{
        AUTO_FREE char *line = xasprintf("web %s", words);

        return hash_of(&line, 1, "key:one");
}

static void differs(const char *words, bool expected, const char *name)
{
        AUTO_FREE char *plain = web("net=front"), *other = web(words);

        ok(digest_valid(other), "%s: a digest", name);
        is_int(!streq(plain, other), expected, "%s", name);
}

static void test_secret(void)
{
        char *const uses[] = {(char[]){"web secret=key"}}, *const plain[] = {(char[]){"web"}};
        AUTO_FREE char *one = hash_of(uses, 1, "key:one"), *two = hash_of(uses, 1, "key:two");
        AUTO_FREE char *a = hash_of(plain, 1, "key:one"), *b = hash_of(plain, 1, "key:two");

        ok(!streq(one, two), "the content of a secret counts");
        is_str(a, b, "but only where it is used");
}

static void test_restart(void)
{
        char *const before[] = {(char[]){"web depends=app!"}, (char[]){"app depends=db!"},
                                (char[]){"db"}};
        char *const after[] = {(char[]){"web depends=app!"}, (char[]){"app depends=db!"},
                               (char[]){"db env=A:1"}};
        char *const loop[] = {(char[]){"web depends=app!"}, (char[]){"app depends=web!"}};
        AUTO_FREE char *a = hash_of(before, 3, "key:one"), *b = hash_of(after, 3, "key:one");
        AUTO_FREE char *c = hash_of(loop, 2, "key:one");

        ok(!streq(a, b), "restart: true reaches over two services");
        ok(digest_valid(c), "and ends in a cycle");
}

static void test_network(void)
{
        char label[] = "team";
        struct network a = {.name = (char[]){"front"}}, b = a;
        struct kv kv = {.key = label};
        char hash_a[DIGEST_TEXT_MAX], hash_b[DIGEST_TEXT_MAX];

        b.labels = (struct kv_list){&kv, 1};
        network_hash(&a, hash_a);
        network_hash(&b, hash_b);
        is_str(hash_a, hash_b, "labels of a network are seen by nobody");
        b.internal = true;
        network_hash(&b, hash_b);
        ok(!streq(hash_a, hash_b), "internal counts");
        a.subnet = (char[]){"10.1.0.0/24"};
        a.internal = true;
        network_hash(&a, hash_a);
        ok(!streq(hash_a, hash_b), "the subnet counts");
}

static void test_stack(void)
{
        struct stack *stack;
        struct stack_hashes *hashes;
        AUTO_FREE char *hash = web("net=front");

        stack = world_find_stack(&world, "shop");
        hashes = stack_hashes_new(stack, NULL);
        is_int(hashes->services_len, 1, "a hash for each service");
        is_str(hashes->services[0], hash, "the same as alone");
        stack_hashes_free(hashes);
        stack_hashes_free(NULL);
}

/* As the store does it: what was written and read back has the same hash. */
static void test_round_trip(void)
{
        static const char text[] =
                "{\"name\":\"shop\",\"services\":{\"web\":{\"image\":\"web:1\","
                "\"environment\":{\"A\":\"1\"},\"scale\":2,\"secrets\":[\"key\"],"
                "\"healthcheck\":{\"test\":[\"CMD\",\"true\"]}}},"
                "\"secrets\":{\"key\":{\"content\":\"hush\"}}}";
        AUTO_JSON json_t *json = json_loads(text, 0, NULL), *written = NULL;
        AUTO(stack) struct stack *one = NULL, *two = NULL;
        struct diags diags = {0};
        struct err err = ERR_INIT;
        char hash_one[DIGEST_TEXT_MAX], hash_two[DIGEST_TEXT_MAX];

        if (!ok(stack_from_json(json, &one, &diags, &err) == 0, "a stack is read: %s", err.msg))
                return;
        written = stack_to_json(one);
        if (!ok(stack_from_json(written, &two, &diags, &err) == 0, "and again: %s", err.msg))
                return;
        spec_hash(one, &one->services[0], hash_one);
        spec_hash(two, &two->services[0], hash_two);
        is_str(hash_one, hash_two, "the hash of its service is the same");
        two->secrets[0].content[0] = 'p';
        spec_hash(two, &two->services[0], hash_two);
        ok(!streq(hash_one, hash_two), "until its secret changes");
        diags_release(&diags);
}

int main(void)
{
        world_init(&world);
        differs("net=front", false, "equal specs have equal hashes");
        differs("net=front env=A:1", true, "environment");
        differs("net=front image=web:2", true, "image");
        differs("net=back", true, "networks");
        differs("net=front label=A:1", false, "labels do not count");
        differs("net=front health", false, "healthcheck does not count");
        differs("net=front restart=always", false, "restart policy does not count");
        differs("net=front replicas=3", false, "replicas do not count");
        differs("net=front oneshot", false, "nor does x-berth.oneshot");
        differs("net=front depends=db", false, "depends_on does not count");
        test_secret();
        test_restart();
        test_network();
        test_stack();
        test_round_trip();
        world_release(&world);
        return tap_done();
}
