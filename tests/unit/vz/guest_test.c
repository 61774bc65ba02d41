/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tap.h"
#include "vminit/config.h"
#include "vz/guest.h"

/* The host's end against a guest made of wire.c and a socket pair. */

static struct ev_loop *loop;
static struct guest *guest;
static int peer;

static struct {
        int hello, configured, started, exited, lost, exec_exited, writable, logs, ends;
        struct guest_hello last_hello;
        struct guest_exit last_exit;
        struct guest_stats last_stats;
        char text[600];
        int lost_code;
        char out[64];
        size_t out_len, exec_len;
        bool free_in_hello;
} seen;

static void on_hello(void *arg, const struct guest_hello *hello)
{
        (void)arg;
        seen.hello++;
        seen.last_hello = *hello;
        if (seen.free_in_hello)
                guest_free(guest);
}

static void on_configured(void *arg, const char *text)
{
        (void)arg;
        seen.configured++;
        (void)snprintf(seen.text, sizeof(seen.text), "%s", text ? text : "ok");
}

static void on_started(void *arg, uint64_t run, int pid)
{
        (void)arg;
        seen.started += run == 1 && pid == 33;
}

static void on_exited(void *arg, uint64_t run, const struct guest_exit *end)
{
        (void)arg;
        (void)run;
        seen.exited++;
        seen.last_exit = *end;
        (void)snprintf(seen.text, sizeof(seen.text), "%s", end->text);
}

static void on_output(void *arg, enum guest_stream stream, uint64_t offset, const void *bytes,
                      size_t len)
{
        (void)arg;
        (void)offset;
        if (stream == GUEST_STDOUT && seen.out_len + len < sizeof(seen.out)) {
                memcpy(seen.out + seen.out_len, bytes, len);
                seen.out_len += len;
        }
        guest_ack(guest, stream, offset + len);
}

static void on_output_end(void *arg, enum guest_stream stream, uint64_t offset)
{
        (void)arg;
        (void)stream;
        (void)offset;
        seen.ends++;
}

static void on_log(void *arg, const char *text)
{
        (void)arg;
        seen.logs++;
        (void)snprintf(seen.text, sizeof(seen.text), "%s", text);
}

static void on_stats(void *arg, const struct guest_stats *stats)
{
        (void)arg;
        seen.last_stats = *stats;
}

static void on_exec_output(void *arg, void *exec, enum guest_stream stream, const void *bytes,
                           size_t len)
{
        (void)arg;
        (void)exec;
        (void)stream;
        (void)bytes;
        seen.exec_len += len;
}

static void on_exec_writable(void *arg, void *exec)
{
        (void)arg;
        (void)exec;
        seen.writable++;
}

static void on_exec_exited(void *arg, void *exec, const struct guest_exit *end)
{
        (void)arg;
        (void)exec;
        seen.exec_exited++;
        seen.last_exit = *end;
        (void)snprintf(seen.text, sizeof(seen.text), "%s", end->text);
}

static void on_lost(void *arg, const struct err *err)
{
        (void)arg;
        seen.lost++;
        seen.lost_code = err->code;
        (void)snprintf(seen.text, sizeof(seen.text), "%s", err->msg);
}

static const struct guest_callbacks callbacks = {
        .on_hello = on_hello,
        .on_configured = on_configured,
        .on_started = on_started,
        .on_exited = on_exited,
        .on_output = on_output,
        .on_output_end = on_output_end,
        .on_log = on_log,
        .on_stats = on_stats,
        .on_exec_output = on_exec_output,
        .on_exec_writable = on_exec_writable,
        .on_exec_exited = on_exec_exited,
        .on_lost = on_lost,
};

/* ---- the other end ---- */

static struct wire_rx rx;
static uint8_t rx_data[WIRE_FRAME_MAX + 4096], tx_data[WIRE_FRAME_MAX];
static struct wire_writer w;
static uint8_t nonce[WIRE_MAGIC_LEN];

static void turn(void)
{
        for (int i = 0; i < 4; i++)
                ev_run(loop, EVRUN_NOWAIT);
}

/* The next frame the host sent. false: none. */
static bool receive(struct wire_frame *f)
{
        for (;;) {
                if (wire_rx_next(&rx, f) > 0)
                        return true;
                turn();
                size_t room;
                uint8_t *to = wire_rx_space(&rx, &room);
                ssize_t n = recv(peer, to, room, MSG_DONTWAIT);
                if (n <= 0)
                        return false;
                wire_rx_fill(&rx, (size_t)n);
        }
}

static void flush(void)
{
        (void)!send(peer, w.data, w.len, MSG_NOSIGNAL);
        wire_writer_init(&w, tx_data, sizeof(tx_data));
        turn();
}

static void connect_pair(void)
{
        int fds[2];
        struct err err = ERR_INIT;
        struct wire_frame f;
        memset(&seen, 0, sizeof(seen));
        ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "a pair of sockets");
        peer = fds[1];
        wire_rx_init(&rx, rx_data, sizeof(rx_data), wire_attach_magic, true);
        wire_writer_init(&w, tx_data, sizeof(tx_data));
        is_int(guest_attach_fd(loop, fds[0], 5, 6, &callbacks, NULL, &guest, &err), 0, "attach");
        ok(receive(&f) && f.type == WIRE_ATTACH && f.fresh, "the host says hello first");
        struct wire_reader r = wire_read(f.body, f.len);
        struct wire_tlv tlv;
        while (wire_next(&r, &tlv)) {
                if (tlv.tag == WIRE_T_NONCE && tlv.len == sizeof(nonce))
                        memcpy(nonce, tlv.value, sizeof(nonce));
        }
}

static void put_hello(uint64_t version, uint64_t state)
{
        (void)wire_send_magic(&w, nonce);
        wire_begin(&w, WIRE_HELLO, 0);
        wire_put_u64(&w, WIRE_T_VERSION, version);
        wire_put_u64(&w, WIRE_T_STATE, state);
        wire_put_str(&w, WIRE_T_BOOT_ID, "2f1c\n\x1b[31m");
        wire_put_u64(&w, WIRE_T_RUN, 3);
        wire_put_u64(&w, WIRE_T_SIGNO, 9);
        size_t mark = wire_nest(&w, WIRE_T_PHASE);
        wire_put_str(&w, WIRE_T_NAME, "vminit");
        wire_put_u64(&w, WIRE_T_NS, 123);
        wire_nest_end(&w, mark);
        (void)wire_end(&w);
}

static void go_live(void)
{
        connect_pair();
        put_hello(1, WIRE_S_NEW);
        flush();
        ok(guest_is_live(guest), "the conversation is live");
}

static void done(void)
{
        guest_free(guest);
        close(peer);
        turn();
}

/* ---- tests ---- */

static void test_hello(void)
{
        struct err err = ERR_INIT;
        connect_pair();
        ok(guest_run(guest, &err) == -ENOTCONN, "nothing works before the guest answers");
        (void)!send(peer, "leftovers", 9, 0);
        turn();
        ok(!seen.hello && !seen.lost, "bytes of another connection are passed over");
        put_hello(1, WIRE_S_EXITED);
        flush();
        is_int(seen.hello, 1, "the guest's greeting arrives");
        const struct guest_hello *h = &seen.last_hello;
        ok(h->state == WIRE_S_EXITED && h->run == 3 && h->exit.signal == 9 && h->exit.code == 137,
           "whole");
        ok(h->n_phases == 1 && h->phases[0].guest_ns == 123, "with its phases");
        is_str(h->boot_id, "2f1c??[31m", "and without control characters");
        done();
        connect_pair();
        put_hello(99, WIRE_S_NEW);
        flush();
        ok(!seen.hello && seen.lost == 1 && seen.lost_code == EPROTONOSUPPORT,
           "version 99 is refused");
        has_str(seen.text, "version 99", "with a reason");
        done();
        connect_pair();
        seen.free_in_hello = true;
        put_hello(1, WIRE_S_NEW);
        (void)wire_send_empty(&w, WIRE_CONFIGURED, 0);
        flush();
        ok(seen.hello == 1 && !seen.configured && !seen.lost,
           "free in a callback: no more callbacks");
        close(peer);
}

static struct config config;

static void test_configure(void)
{
        static const struct guest_disk disks[] = {{WIRE_DISK_IMAGE, "root"},
                                                  {WIRE_DISK_VOLUME, "vol0"}};
        static const struct guest_mount mounts[] = {
                {.kind = WIRE_MOUNT_DISK, .path = "/data", .name = "vol0", .flags = WIRE_M_SEED}};
        static const char *const argv[] = {"redis-server", "--port", "6379"};
        static uint8_t content[50000];
        memcpy(content + 16380, wire_attach_magic, WIRE_MAGIC_LEN);
        struct guest_file file = {"/run/secrets/key", 0400, 5, 6, content, sizeof(content)};
        struct guest_interface net = {.mac = "52:54:00:00:00:01", .addresses = {"10.0.0.2/24"}};
        struct guest_config c = {
                .hostname = "db",
                .disks = disks,
                .n_disks = 2,
                .mounts = mounts,
                .n_mounts = 1,
                .files = &file,
                .n_files = 1,
                .interfaces = &net,
                .n_interfaces = 1,
                .argv = argv,
                .n_argv = 3,
                .read_only = true,
                .memory_max = 1 << 20,
                .oom_score_adj = -5,
        };
        struct err err = ERR_INIT;
        struct wire_frame f;
        struct fail fail = {0};
        go_live();
        is_int(guest_configure(guest, &c, &err), 0, "a configuration is sent: %s", err.msg);
        is_int(guest_run(guest, &err), 0, "and the order to run");
        config_reset(&config);
        size_t bytes = 0;
        bool whole = true, ended = false, run = false;
        while (receive(&f)) {
                if (f.type == WIRE_CONFIG)
                        whole = whole && config_add(&config, f.body, f.len, &fail) == 0;
                if (f.type == WIRE_FILE_DATA) {
                        whole = whole && !memcmp(content + bytes, f.body, f.len);
                        bytes += f.len;
                }
                ended = ended || f.type == WIRE_CONFIG_END;
                run = run || (ended && f.type == WIRE_RUN);
        }
        ok(whole && ended && run && bytes == sizeof(content),
           "it arrives whole, magic in a file and all: %s", fail.text);
        ok(config_finish(&config, &fail) == 0, "vminit can use it: %s", fail.text);
        ok(!strcmp(config.hostname, "db") && config.n_args == 3 &&
                   config.flags == WIRE_F_READ_ONLY && config.memory_max == 1 << 20 &&
                   config.oom_score_adj == -5,
           "and reads what was meant");
        ok(config.n_mounts == 2 && config.mounts[0].flags == WIRE_M_SEED &&
                   config.mounts[1].uid == 5,
           "mounts and files too");
        c.hostname = NULL;
        is_int(guest_configure(guest, &c, &err), -EINVAL, "no hostname, no configuration");
        has_str(err.msg, "hostname", "says which item");
        c.hostname = "db";
        c.n_disks = 0;
        is_int(guest_configure(guest, &c, &err), -EINVAL, "no image, no configuration");
        ok(!receive(&f), "and nothing of them was sent");
        done();
}

static void test_service(void)
{
        struct wire_frame f;
        go_live();
        wire_begin(&w, WIRE_STARTED, 0);
        wire_put_u64(&w, WIRE_T_RUN, 1);
        wire_put_u64(&w, WIRE_T_PID, 33);
        (void)wire_end(&w);
        (void)wire_send_output(&w, 1, 5, "hel", 3);
        (void)wire_send_output(&w, 1, 8, "lo", 2);
        (void)wire_send_stream(&w, WIRE_OUTPUT_END, 0, 1, WIRE_T_OFFSET, 10);
        wire_begin(&w, WIRE_EXITED, 0);
        wire_put_u64(&w, WIRE_T_CODE, 3);
        wire_put_u64(&w, WIRE_T_OOM, 1);
        (void)wire_end(&w);
        flush();
        ok(seen.started == 1 && seen.out_len == 5 && !memcmp(seen.out, "hello", 5),
           "start and output");
        ok(seen.ends == 1 && seen.exited == 1 && seen.last_exit.code == 3 && seen.last_exit.oom,
           "and end");
        int acks = 0;
        while (receive(&f))
                acks += f.type == WIRE_ACK;
        is_int(acks, 2, "every piece was acknowledged");
        wire_begin(&w, WIRE_START_FAILED, 0);
        wire_put_u64(&w, WIRE_T_CODE, 127);
        wire_put_str(&w, WIRE_T_TEXT, "not\tfound");
        (void)wire_end(&w);
        wire_begin(&w, WIRE_STATS_REPLY, 0);
        wire_put_u64(&w, WIRE_ST_PIDS, 4);
        wire_put_u64(&w, WIRE_ST_INIT_RSS_BYTES, 5);
        (void)wire_end(&w);
        flush();
        ok(seen.last_exit.start_failed && seen.last_exit.code == 127,
           "a failed start is told apart");
        is_str(seen.text, "not?found", "with its text");
        ok(seen.last_stats.pids == 4 && seen.last_stats.init_rss_bytes == 5, "statistics arrive");
        done();
}

static void put_data(uint32_t id, size_t len)
{
        static const uint8_t bytes[WIRE_CHUNK];
        (void)wire_send_data(&w, id, 1, bytes, len);
}

static void test_exec(void)
{
        static uint8_t big[WIRE_STDIN_WINDOW * 2];
        static const char *const argv[] = {"cat"};
        struct guest_exec exec = {.argv = argv, .n_argv = 1};
        struct err err = ERR_INIT;
        struct wire_frame f;
        go_live();
        int id = guest_exec_open(guest, &exec, &exec, &err);
        ok(id > 0, "a session is opened");
        is_int(guest_exec_write(guest, id, big, 100), 0, "without a window nothing is taken");
        (void)wire_send_stream(&w, WIRE_CREDIT, (uint32_t)id, 0, WIRE_T_BYTES, WIRE_STDIN_WINDOW);
        flush();
        is_int(seen.writable, 1, "a window comes");
        is_int(guest_exec_write(guest, id, big, sizeof(big)), WIRE_STDIN_WINDOW, "and is used up");
        guest_exec_eof(guest, id);
        is_int(guest_exec_write(guest, id, big, 10), 10, "after the end everything is dropped");
        bool opened = false;
        size_t bytes = 0, ends = 0;
        while (receive(&f)) {
                opened = opened || (f.type == WIRE_EXEC && f.id == (uint32_t)id);
                bytes += f.type == WIRE_DATA ? f.len - WIRE_DATA_HEAD : 0;
                ends += f.type == WIRE_EOF;
        }
        ok(opened && bytes == WIRE_STDIN_WINDOW && ends == 1, "that is what the guest gets");
        for (int i = 0; i < 4; i++) {
                put_data((uint32_t)id, WIRE_CHUNK);
                flush();
        }
        is_int(seen.exec_len, WIRE_EXEC_WINDOW, "the guest may fill its window");
        guest_exec_credit(guest, id, GUEST_STDOUT, 10);
        put_data((uint32_t)id, 10);
        flush();
        ok(seen.exec_len == WIRE_EXEC_WINDOW + 10 && !seen.lost, "and what is given back");
        put_data((uint32_t)id, 1);
        flush();
        ok(seen.lost == 1 && seen.lost_code == EPROTO, "not a byte more");
        ok(seen.exec_exited == 1, "an open session is told of the end");
        done();
        go_live();
        for (int i = 0; i < WIRE_EXEC_MAX; i++)
                id = guest_exec_open(guest, &exec, &exec, &err);
        ok(id > 0 && guest_exec_open(guest, &exec, &exec, &err) == -EAGAIN, "sessions are counted");
        wire_begin(&w, WIRE_EXEC_EXITED, (uint32_t)id);
        wire_put_u64(&w, WIRE_T_ERRNO, 2);
        wire_put_u64(&w, WIRE_T_CODE, 127);
        (void)wire_end(&w);
        put_data((uint32_t)id, 1);
        flush();
        ok(seen.exec_exited == 1 && seen.last_exit.start_failed && !seen.lost, "one ends");
        ok(guest_exec_open(guest, &exec, &exec, &err) > 0, "and makes room");
        done();
}

static void expect_lost(const char *what)
{
        flush();
        ok(seen.lost == 1 && seen.lost_code == EPROTO, "%s ends the conversation", what);
        ok(!guest_is_live(guest), "and it is not live any more");
        done();
        go_live();
}

static void test_hostile(void)
{
        go_live();
        (void)wire_send_output(&w, 1, 5, "a", 1);
        (void)wire_send_output(&w, 1, 7, "b", 1);
        expect_lost("a gap in the output");
        (void)wire_send_output(&w, 1, UINT64_MAX - 1, "a", 1);
        expect_lost("an offset beyond all output");
        (void)wire_send_output(&w, 3, 5, "a", 1);
        expect_lost("output on stream 3");
        (void)wire_send_output(&w, 1, 5, "", 0);
        expect_lost("empty output");
        (void)wire_send_empty(&w, WIRE_RUN, 0);
        expect_lost("a host's message");
        (void)wire_send_empty(&w, WIRE_HELLO, 0);
        expect_lost("a second greeting");
        wire_begin(&w, WIRE_EXITED, 0);
        wire_put_u64(&w, WIRE_T_CODE, 256);
        (void)wire_end(&w);
        expect_lost("exit code 256");
        wire_begin(&w, WIRE_LOG, 0);
        wire_put_raw(&w, "xxxxx", 5);
        (void)wire_end(&w);
        expect_lost("a malformed body");
        (void)wire_send_stream(&w, WIRE_CREDIT, 0, 0, WIRE_T_BYTES, 1u << 20);
        expect_lost("a window of a MiB");
        wire_put_raw(&w, "no frame at all", 15);
        expect_lost("a stream without frames");
        wire_begin(&w, WIRE_LOG, 0);
        static char text[5000];
        memset(text, 'x', sizeof(text) - 1);
        wire_put_str(&w, WIRE_T_TEXT, text);
        (void)wire_end(&w);
        flush();
        ok(seen.logs == 1 && strlen(seen.text) < 600, "a long text is cut");
        close(peer);
        turn();
        ok(seen.lost == 1 && seen.lost_code == ECONNRESET, "the end of the socket is the end");
        done();
}

static void test_noise(void)
{
        unsigned state = 7;
        int lost = 0;
        for (int round = 0; round < 200; round++) {
                int fds[2];
                struct err err = ERR_INIT;
                struct wire_frame f;
                memset(&seen, 0, sizeof(seen));
                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
                        break;
                peer = fds[1];
                wire_rx_init(&rx, rx_data, sizeof(rx_data), wire_attach_magic, true);
                wire_writer_init(&w, tx_data, sizeof(tx_data));
                (void)guest_attach_fd(loop, fds[0], 0, 0, &callbacks, NULL, &guest, &err);
                if (receive(&f))
                        memcpy(nonce, f.body + 32 + 8,
                               sizeof(nonce)); /* VERSION, VERSION_MIN, NONCE */
                put_hello(1, WIRE_S_NEW);
                for (int i = 0; i < 20; i++) {
                        uint8_t body[64];
                        for (size_t j = 0; j < sizeof(body); j++) {
                                state = state * 1103515245u + 12345u;
                                body[j] = state >> 30 ? 0 : (uint8_t)(state >> 16) % 24;
                        }
                        wire_begin(&w, (enum wire_type)(WIRE_DATA + (state >> 8) % 50),
                                   state >> 20 & 1);
                        wire_put_raw(&w, body, (state >> 12) % sizeof(body));
                        (void)wire_end(&w);
                }
                flush();
                lost += seen.lost;
                done();
        }
        ok(lost > 150, "noise is noticed (%d of 200)", lost);
}

int main(void)
{
        loop = ev_loop_new(0);
        test_hello();
        test_configure();
        test_service();
        test_exec();
        test_hostile();
        test_noise();
        ev_loop_destroy(loop);
        return tap_done();
}
