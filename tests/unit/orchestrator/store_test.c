/* SPDX-License-Identifier: Apache-2.0 */
/* The store: what is put comes back, what is bad is set aside, kill -9 loses nothing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "orchestrator/store.h"
#include "tests/tap.h"

static char dir[] = "/tmp/berth-store-XXXXXX";
static char *path;
static int quarantined;
static char last_quarantined[200];

static void on_quarantine(void *ctx, const char *table, const char *key, const char *reason)
{
        (void)ctx;
        quarantined++;
        (void)snprintf(last_quarantined, sizeof(last_quarantined), "%s %s: %s", table, key, reason);
}

static struct store *open_store(struct store_report *report)
{
        struct store *store = NULL;
        struct err err = ERR_INIT;

        *report = (struct store_report){0};
        if (store_open(path, on_quarantine, NULL, &store, report, &err) < 0)
                printf("# %s\n", err.msg);
        return store;
}

/* Change the file behind the store's back. */
static void tamper(const char *sql)
{
        sqlite3 *db = NULL;
        int rc = sqlite3_open(path, &db);

        if (rc == SQLITE_OK)
                rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
        ok(rc == SQLITE_OK, "tampered: %s", sql);
        sqlite3_close(db);
}

static void fresh(void)
{
        struct err err = ERR_INIT;

        file_remove_tree(dir, &err);
        mkdir(dir, 0700);
}

static struct stored_stack shop(unsigned revision)
{
        static char name[] = "shop", source[] = "/home/me/stack.yaml",
                    manifest[] = "{\"services\":{}}", note[] = "apply",
                    wishes[] = "{\"web\":{\"stopped\":true}}";

        return (struct stored_stack){.name = name,
                                     .revision = revision,
                                     .source = source,
                                     .manifest = manifest,
                                     .ports = STACK_PORTS_AUTO,
                                     .wanted = STACK_UP,
                                     .created_ms = 1000,
                                     .updated_ms = 1000 + revision,
                                     .wishes = wishes,
                                     .note = note};
}

static void test_stacks(void)
{
        struct stored_stacks stacks = {0};
        struct stored_revisions revisions = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct store *store = open_store(&report);
        struct stored_stack stack;
        struct stat st;

        ok(store && report.created && !report.moved_to, "a fresh database");
        ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "only its owner can read it");
        for (unsigned i = 1; i <= STORE_HISTORY_MAX + 5; i++) {
                stack = shop(i);
                if (store_put_stack(store, &stack, &err) < 0)
                        ok(0, "put: %s", err.msg);
        }
        is_int(store_set_wanted(store, "shop", STACK_DELETING_VOLUMES, &err), 0, "wanted changes");
        is_int(store_set_wanted(store, "none", STACK_UP, &err), -ENOENT, "not of an unknown stack");
        store_close(store);

        store = open_store(&report);
        ok(store && !report.created, "opened again");
        is_int(store_list_stacks(store, &stacks, &err), 0, "list");
        is_int(stacks.len, 1, "one stack");
        is_str(stacks.items[0].name, "shop", "name");
        is_str(stacks.items[0].source, "/home/me/stack.yaml", "source");
        is_str(stacks.items[0].manifest, "{\"services\":{}}", "manifest");
        is_int(stacks.items[0].revision, STORE_HISTORY_MAX + 5, "revision");
        is_int(stacks.items[0].ports, STACK_PORTS_AUTO, "ports");
        is_int(stacks.items[0].wanted, STACK_DELETING_VOLUMES, "wanted");
        is_int(stacks.items[0].created_ms, 1000, "created");
        is_str(stacks.items[0].wishes, "{\"web\":{\"stopped\":true}}", "wishes");
        stored_stacks_release(&stacks);
        is_int(store_list_history(store, "shop", &revisions, &err), 0, "history");
        is_int(revisions.len, STORE_HISTORY_MAX, "history is bounded");
        is_int(revisions.items[0].revision, STORE_HISTORY_MAX + 5, "newest first");
        is_str(revisions.items[0].note, "apply", "what made it");
        stored_revisions_release(&revisions);
        is_int(store_delete_stack(store, "shop", &err), 0, "delete");
        is_int(store_delete_stack(store, "shop", &err), 0, "delete again is fine");
        store_list_stacks(store, &stacks, &err);
        store_list_history(store, "shop", &revisions, &err);
        ok(stacks.len == 0 && revisions.len == 0, "nothing is left");
        store_close(store);
}

static void test_replicas(void)
{
        static char stack[] = "shop", web[] = "web", db[] = "db", hash[] = "sha256:abc";
        struct replica_fact fact = {.stack = stack,
                                    .service = web,
                                    .replica = 2,
                                    .failures = 3,
                                    .restarts = 4,
                                    .last_end_ms = 5,
                                    .last_exit = EXIT_SIGNAL,
                                    .last_exit_code = 137,
                                    .last_spec_hash = hash,
                                    .completed = true,
                                    .own_failures = 2,
                                    .started_ms = 77,
                                    .last_message = hash};
        struct stored_replicas list = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct store *store = open_store(&report);

        is_int(store_put_replica(store, &fact, &err), 0, "put a replica");
        fact.service = db;
        fact.replica = 1;
        fact.last_spec_hash = NULL;
        fact.last_message = NULL;
        is_int(store_put_replica(store, &fact, &err), 0, "put one without a hash");
        is_int(store_put_replica(store, &fact, &err), 0, "put it again");
        is_int(store_list_replicas(store, &list, &err), 0, "list replicas");
        is_int(list.len, 2, "two");
        is_str(list.items[0].service, "db", "sorted");
        is_str(list.items[0].last_spec_hash, NULL, "no hash stays none");
        is_int(list.items[1].replica, 2, "replica");
        is_int(list.items[1].failures, 3, "failures");
        is_int(list.items[1].restarts, 4, "restarts");
        is_int(list.items[1].last_end_ms, 5, "last end");
        is_int(list.items[1].last_exit, EXIT_SIGNAL, "last exit");
        is_int(list.items[1].last_exit_code, 137, "exit code");
        is_str(list.items[1].last_spec_hash, "sha256:abc", "hash");
        ok(list.items[1].completed, "completed");
        is_int(list.items[1].own_failures, 2, "its own failures");
        is_int(list.items[1].started_ms, 77, "begin of the run");
        is_str(list.items[1].last_message, "sha256:abc", "message");
        is_str(list.items[0].last_message, NULL, "no message stays none");
        stored_replicas_release(&list);
        is_int(store_delete_replica(store, "shop", "web", 1, &err), 0, "delete an unknown one");
        is_int(store_delete_replica(store, "shop", "web", 0, &err), 0, "delete a service's");
        store_list_replicas(store, &list, &err);
        is_int(list.len, 1, "one is left");
        stored_replicas_release(&list);
        store_close(store);
}

static void test_leases(void)
{
        struct stored_leases list = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct store *store = open_store(&report);

        is_int(store_put_subnet(store, "shop", "front", 0x0a580000, 24, &err), 0, "put a subnet");
        is_int(store_put_subnet(store, "shop", "back", 0x0a580000, 24, &err), -EEXIST,
               "not the same twice");
        has_str(err.msg, "10.88.0.0/24", "the error names it");
        is_int(store_put_subnet(store, "shop", "back", 0x0a580100, 24, &err), 0, "another is fine");
        is_int(store_put_lease(store, "shop", "front", "web", 1, 0x0a580002, &err), 0, "a lease");
        is_int(store_put_lease(store, "shop", "front", "web", 2, 0x0a580002, &err), -EEXIST,
               "not the same address twice");
        is_int(store_put_lease(store, "shop", "back", "web", 2, 0x0a580002, &err), 0,
               "the same on another network");
        is_int(store_put_lease(store, "shop", "front", "web", 1, 0x0a580003, &err), 0,
               "a lease may change");
        is_int(store_list_leases(store, &list, &err), 0, "list");
        is_int(list.subnets_len, 2, "subnets");
        is_int(list.leases_len, 2, "leases");
        is_str(list.leases[0].network, "back", "sorted");
        is_int(list.leases[1].ip, 0x0a580003, "address");
        is_int(list.subnets[1].subnet, 0x0a580000, "subnet");
        is_int(list.subnets[1].bits, 24, "bits");
        stored_leases_release(&list);
        is_int(store_delete_subnet(store, "shop", "front", &err), 0, "delete a subnet");
        store_list_leases(store, &list, &err);
        ok(list.subnets_len == 1 && list.leases_len == 1, "its leases went with it");
        stored_leases_release(&list);
        is_int(store_delete_lease(store, "shop", "web", 2, &err), 0, "delete a lease");
        store_delete_stack(store, "shop", &err);
        store_list_leases(store, &list, &err);
        ok(list.subnets_len == 0 && list.leases_len == 0, "a deleted stack has none");
        stored_leases_release(&list);
        store_close(store);
}

static void test_networks(void)
{
        char proxy_name[] = "proxy", front_name[] = "front", subnet[] = "10.7.0.0/24";
        char labels[] = "{\"a\":\"b\"}", none[] = "{}", nobody[] = "", maker[] = "shop";
        struct stored_network proxy = {.name = proxy_name,
                                       .subnet = subnet,
                                       .internal = true,
                                       .labels = labels,
                                       .maker = nobody,
                                       .created_ms = 7};
        struct stored_network front = {
                .name = front_name, .egress = true, .labels = none, .maker = maker};
        struct stored_networks list = {0};
        struct stored_leases leases = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct store *store = open_store(&report);

        is_int(store_put_network(store, &proxy, &err), 0, "put a network");
        is_int(store_put_network(store, &front, &err), 0, "and one of a manifest");
        store_put_subnet(store, "", "proxy", 0x0a070000, 24, &err);
        store_put_lease(store, "", "proxy", "shop/web", 1, 0x0a070002, &err);
        store_put_lease(store, "", "proxy", "shop2/web", 1, 0x0a070003, &err);
        is_int(store_list_networks(store, &list, &err), 0, "list");
        ok(list.len == 2 && streq(list.items[0].name, "front"), "both, sorted");
        is_str(list.items[0].subnet, NULL, "no subnet");
        is_str(list.items[0].maker, "shop", "its maker");
        is_str(list.items[1].labels, "{\"a\":\"b\"}", "labels");
        ok(list.items[1].internal && !list.items[1].egress, "internal");
        is_int(list.items[1].created_ms, 7, "when it was made");
        stored_networks_release(&list);
        store_delete_stack(store, "shop", &err);
        store_list_leases(store, &leases, &err);
        ok(leases.leases_len == 1 && streq(leases.leases[0].service, "shop2/web"),
           "a stack that goes leaves its addresses on shared networks, and nobody else's");
        is_int(leases.subnets_len, 1, "the subnet stays");
        stored_leases_release(&leases);
        is_int(store_delete_network(store, "proxy", &err), 0, "delete a network");
        store_list_leases(store, &leases, &err);
        ok(leases.leases_len == 0 && leases.subnets_len == 0, "its leases went with it");
        stored_leases_release(&leases);
        store_delete_network(store, "front", &err);
        store_close(store);
}

static void test_events(void)
{
        static char web[] = "web", shop_name[] = "shop", type[] = "started";
        struct event event = {.time_ns = 1, .stack = shop_name, .service = web, .type = type};
        struct event_filter all = {0}, other = {.stack = "other"}, one = {.replica = 7},
                            two = {.stack = "shop", .service = "web", .replica = 8};
        struct stored_events list = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct store *store = open_store(&report);
        int64_t seq = 0, since = -1;

        is_int(store_events_tail(store, &all, 5, &since, &err), 0, "tail of nothing");
        is_int(since, 0, "begins at 0");
        is_int(store_begin(store, &err), 0, "begin a batch");
        for (int i = 0; i < STORE_EVENTS_MAX + 600; i++) {
                event.replica = i == 5 ? 7 : i % 5000 == 4000 ? 8 : 0;
                if (store_add_event(store, &event, &seq, &err) < 0)
                        ok(0, "add: %s", err.msg);
        }
        is_int(store_commit(store, &err), 0, "commit");
        is_int(seq, STORE_EVENTS_MAX + 600, "numbered from 1");
        is_int(store_list_events(store, &all, 0, 10, &list, &err), 0, "list");
        is_int(list.len, 10, "at most the limit");
        ok(list.items[0].seq > 256 && list.items[0].seq <= 600, "old ones are gone: %lld",
           (long long)list.items[0].seq);
        is_str(list.items[0].message, "", "what was NULL is empty");
        stored_events_release(&list);
        store_events_tail(store, &all, 3, &since, &err);
        is_int(since, seq - 3, "tail of 3");
        store_events_tail(store, &all, 0, &since, &err);
        is_int(since, seq, "tail of none: only new ones");
        store_list_events(store, &other, 0, 10, &list, &err);
        is_int(list.len, 0, "another stack has none");
        store_events_tail(store, &one, 5, &since, &err);
        store_list_events(store, &one, since, 10, &list, &err);
        is_int(list.len, 0, "pruned ones do not come");
        stored_events_release(&list);
        store_events_tail(store, &two, 1, &since, &err);
        is_int(since, 9000, "tail with a filter");
        store_list_events(store, &two, 0, 10, &list, &err);
        is_int(list.len, 2, "all that match the filter");
        stored_events_release(&list);

        is_int(store_begin(store, &err), 0, "begin");
        store_add_event(store, &event, &seq, &err);
        store_rollback(store);
        store_list_events(store, &all, STORE_EVENTS_MAX + 600, 10, &list, &err);
        is_int(list.len, 0, "a batch can be taken back");
        stored_events_release(&list);
        store_close(store);
}

static void test_quarantine(void)
{
        struct stored_stacks stacks = {0};
        struct stored_replicas replicas = {0};
        struct stored_leases leases = {0};
        struct stored_networks networks = {0};
        struct quarantined_list list = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct stored_stack stack = shop(1);
        struct store *store = open_store(&report);

        store_put_stack(store, &stack, &err);
        store_close(store);
        tamper("INSERT INTO stacks VALUES ('bad', 1, '', '{oops', 'auto', 'up', 0, 0, '{}'),"
               " ('../x', 1, '', '{}', 'auto', 'up', 0, 0, '{}'), ('rev', -1, '', '{}', 'auto',"
               " 'up', 0, 0, '{}'), ('w', 1, '', '{}', 'auto', 'sideways', 0, 0, '{}'),"
               " ('y', 1, '', '{}', 'auto', 'up', 0, 0, 'wish')");
        tamper("INSERT INTO replicas VALUES ('s', 'x', 99999, 0, 0, 0, 'none', 0, NULL, 0, 0, 0,"
               " NULL), ('s', 'x', 1, 0, 0, 0, 'bored', 0, NULL, 0, 0, 0, NULL)");
        tamper("INSERT INTO leases VALUES ('s', 'n', 'x', 1, -5), ('', 'n', 'x', 1, 5)");
        tamper("INSERT INTO networks VALUES ('a', 'x', 0, 1, '{}', '', 0), ('b', NULL, 0, 1, '{}', "
               "'no/stack', 0), ('c', NULL, 0, 1, '[', '', 0), ('../d', NULL, 0, 1, '{}', '', 0)");
        store = open_store(&report);
        quarantined = 0;
        is_int(store_list_stacks(store, &stacks, &err), 0, "bad stacks do not stop the list");
        is_int(stacks.len, 1, "the good one is there");
        is_int(quarantined, 5, "the bad ones were reported");
        stored_stacks_release(&stacks);
        quarantined = 0;
        store_list_stacks(store, &stacks, &err);
        is_int(quarantined, 0, "once");
        stored_stacks_release(&stacks);
        store_list_replicas(store, &replicas, &err);
        is_int(quarantined, 2, "bad replicas");
        has_str(last_quarantined, "replicas s/x/", "named with table and key");
        stored_replicas_release(&replicas);
        store_list_leases(store, &leases, &err);
        is_int(quarantined, 4, "bad leases");
        stored_leases_release(&leases);
        store_list_networks(store, &networks, &err);
        is_int(quarantined, 8, "bad networks");
        stored_networks_release(&networks);
        is_int(store_list_quarantine(store, &list, &err), 0, "list the quarantine");
        is_int(list.len, 13, "all are kept");
        is_str(list.items[1].table, "stacks", "table");
        has_str(list.items[1].record, "{oops", "with their content");
        quarantined_list_release(&list);
        store_close(store);
}

static void overwrite(const char *text, off_t at)
{
        int fd = open(path, O_RDWR | O_CLOEXEC | O_CREAT, 0600);

        ok(fd >= 0 && pwrite(fd, text, strlen(text), at) == (ssize_t)strlen(text), "damaged");
        close(fd);
}

static void test_broken(void)
{
        struct stored_stacks stacks = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct store *store, *second = NULL;
        struct stored_stack stack = shop(1);

        fresh();
        overwrite("this is no database, it is a text that is long enough to be a header of one....."
                  "....................................................................",
                  0);
        store = open_store(&report);
        ok(store && report.moved_to, "a file that is no database is moved aside");
        ok(report.moved_to && access(report.moved_to, F_OK) == 0, "and kept");
        has_str(report.reason, "not a database", "with the reason");
        store_report_release(&report);
        ok(store && store_put_stack(store, &stack, &err) == 0, "the fresh one works");
        is_int(store_open(path, NULL, NULL, &second, &report, &err), -EBUSY,
               "a second process is refused");
        store_close(store);

        overwrite("damage damage damage damage damage damage damage damage", 4096 + 8);
        store = open_store(&report);
        ok(store && report.moved_to, "a damaged page is found");
        printf("# %s\n", report.reason ? report.reason : "");
        is_int(store_list_stacks(store, &stacks, &err), 0, "and the fresh one is empty");
        is_int(stacks.len, 0, "empty");
        store_report_release(&report);
        store_close(store);

        tamper("UPDATE meta SET value = 999");
        is_int(store_open(path, NULL, NULL, &store, &report, &err), -EPROTO,
               "a newer berth's is left alone");
        has_str(err.msg, "newer berth", "and it says so");
        fresh();
        overwrite("", 0);
        store = open_store(&report);
        ok(store && !report.moved_to, "an empty file is a fresh database");
        store_close(store);
        tamper("DROP TABLE meta");
        store = open_store(&report);
        ok(store && report.moved_to, "another program's database is moved aside");
        store_report_release(&report);
        store_close(store);
}

/* A child writes as fast as it can and is killed; what it had said was stored must be there. */
/* A database of the first version: what it holds is there after the upgrade. */
static void test_upgrade(void)
{
        static const char *const tables[] = {"replicas", "stacks", "history"};
        static const char *const columns[] = {"own_failures", "wishes", "note"};
        struct stored_stacks stacks = {0};
        struct stored_replicas replicas = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct stored_stack stack = shop(1);
        struct store *store = open_store(&report);

        store_put_stack(store, &stack, &err);
        store_close(store);
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
                AUTO_FREE char *sql =
                        xasprintf("ALTER TABLE %s DROP COLUMN %s", tables[i], columns[i]);

                tamper(sql);
        }
        tamper("DROP TABLE networks");
        tamper("ALTER TABLE replicas DROP COLUMN started_ms");
        tamper("ALTER TABLE replicas DROP COLUMN last_message");
        tamper("INSERT OR REPLACE INTO replicas VALUES ('shop', 'web', 1, 3, 4, 5, 'exit-code', 1,"
               " 'h', 0)");
        tamper("UPDATE meta SET value = 1 WHERE key = 'version'");
        store = open_store(&report);
        ok(store && !report.moved_to, "a database of version 1 opens");
        store_list_stacks(store, &stacks, &err);
        ok(stacks.len == 1 && stacks.items[0].revision == 1, "its stack is there");
        is_str(stacks.len ? stacks.items[0].wishes : NULL, "{}", "without wishes");
        store_list_replicas(store, &replicas, &err);
        ok(replicas.len == 1 && replicas.items[0].failures == 3, "its replica, too");
        stored_stacks_release(&stacks);
        stored_replicas_release(&replicas);
        store_delete_stack(store, "shop", &err);
        store_close(store);
}

static void test_kill(void)
{
        struct stored_stacks stacks = {0};
        struct stored_revisions revisions = {0};
        struct store_report report;
        struct err err = ERR_INIT;
        struct store *store;

        fresh();
        for (int round = 0; round < 5; round++) {
                unsigned said = 0, n;
                int fds[2], status;
                pid_t pid;

                if (pipe(fds) < 0)
                        return;
                pid = fork();
                if (pid == 0) {
                        store = open_store(&report);
                        for (unsigned i = 1 + (unsigned)round * 100000;; i++) {
                                struct stored_stack stack = shop(i);

                                if (store_put_stack(store, &stack, &err) < 0 ||
                                    write(fds[1], &i, sizeof(i)) < 0)
                                        _exit(1);
                        }
                }
                close(fds[1]);
                for (int i = 0; i < 20 + round && read(fds[0], &n, sizeof(n)) == sizeof(n); i++)
                        said = n;
                kill(pid, SIGKILL);
                while (read(fds[0], &n, sizeof(n)) == sizeof(n))
                        said = n;
                close(fds[0]);
                waitpid(pid, &status, 0);
                store = open_store(&report);
                ok(store && !report.moved_to, "opens after kill -9");
                is_int(store_list_stacks(store, &stacks, &err), 0, "lists after kill -9");
                ok(stacks.len == 1 && stacks.items[0].revision >= said && said > 0,
                   "revision %u was stored, %u was said", stacks.len ? stacks.items[0].revision : 0,
                   said);
                store_list_history(store, "shop", &revisions, &err);
                ok(revisions.len > 0 && stacks.len > 0 &&
                           revisions.items[0].revision == stacks.items[0].revision,
                   "stack and history agree");
                stored_revisions_release(&revisions);
                stored_stacks_release(&stacks);
                store_close(store);
        }
}

int main(void)
{
        struct err err = ERR_INIT;

        if (!mkdtemp(dir))
                return 1;
        path = file_join(dir, "state.db");
        test_stacks();
        test_replicas();
        test_leases();
        test_networks();
        test_upgrade();
        test_events();
        test_quarantine();
        test_broken();
        test_kill();
        file_remove_tree(dir, &err);
        free(path);
        return tap_done();
}
