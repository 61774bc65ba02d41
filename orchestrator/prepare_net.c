/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network side of preparing a VM: addresses, and a tap on each network. netd makes one, or that
 * of a machine that waits is moved there. That takes 16 ms, in which the machine is claimed and
 * configured: only the service waits for it. When one cannot be moved the machine is given up, and
 * netd is asked for all as for any other VM.
 */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/instance_internal.h"
#include "orchestrator/prepare_mounts.h"

/* One question to netd; it outlives an instance that gave up. */
struct tap_request {
        struct instance *instance; /* NULL: nobody waits any more */
        size_t nic;
};

void instance_close_taps(struct instance *in)
{
        for (size_t i = 0; i < in->nics_len; i++)
                if (in->nics[i].tap_fd >= 0)
                        (void)close(steal_fd(&in->nics[i].tap_fd)); /* no data to lose */
}

/* Its VM was claimed before a tap could not be moved: a clone with those that netd made takes its
 * place. It may have mounted its scratch disk, which has no journal. */
static void replace_machine(struct instance *in)
{
        AUTO_CLOSE int scratch = -1;
        int taps[VM_NICS_MAX];
        struct err err = ERR_INIT;

        for (size_t i = 0; i < in->nics_len; i++)
                taps[i] = in->nics[i].tap_fd;
        if (prepare_scratch(in, &scratch, &err) < 0 ||
            vm_replace(in->vm, taps, scratch, in->pool_reason, &err) < 0)
                instance_fail(in, EXIT_PREPARE, err.msg);
        instance_close_taps(in);
}

static void on_tap_opened(void *ctx, int tap_fd, const struct err *err)
{
        struct tap_request *request = ctx;
        struct instance *in = request->instance;

        if (in) {
                in->nics[request->nic].request = NULL;
                in->nics[request->nic].tap_fd = tap_fd;
        } else if (tap_fd >= 0) {
                (void)close(tap_fd); /* nobody waits: the tap goes away */
        }
        if (in && err && err->code != ECANCELED) /* then it is not wanted any more */
                instance_fail(in, EXIT_PREPARE, err->msg);
        else if (in && in->vm && instance_has_taps(in))
                replace_machine(in);
        else if (in)
                in->env->on_change(in->env, in);
        free(request);
}

void instance_forget_taps(struct instance *in)
{
        for (size_t i = 0; i < in->nics_len; i++)
                if (in->nics[i].request) {
                        in->nics[i].request->instance = NULL;
                        in->nics[i].request = NULL;
                }
}

const char *nic_stack(const struct instance *in, const struct instance_nic *nic)
{
        return nic->shared ? STACK_SHARED : in->stack;
}

const char *nic_network(const struct instance_nic *nic)
{
        return nic->shared ? nic->shared : nic->network;
}

/* On a network that stacks share, leases of services of one name are told apart by the stack. */
static int lease(const struct instance *in, const char *shared, const struct network_ref *ref,
                 uint32_t *ret_ip, struct err *err)
{
        AUTO_FREE char *guest = shared ? xasprintf("%s/%s", in->stack, in->service) : NULL;
        uint32_t wanted = 0;

        if (ref->ipv4_address && value_ip4(ref->ipv4_address, &wanted, err) < 0)
                return -EINVAL;
        return networks_lease(in->env->networks, shared ? STACK_SHARED : in->stack,
                              shared ? shared : ref->network, guest ? guest : in->service,
                              in->replica + in->lane * SERVICE_REPLICAS_MAX, wanted, ret_ip, err);
}

static int copy_nic(struct instance *in, const struct network_ref *ref, bool no_egress,
                    struct err *err)
{
        const struct network *spec = stack_find_network(in->desired->stack, ref->network);
        const char *shared = spec ? network_shared_name(spec) : NULL;
        const struct network_entry *net =
                networks_find(in->env->networks, shared ? STACK_SHARED : in->stack,
                              shared ? shared : ref->network);
        struct instance_nic *nic;
        uint32_t ip;
        int r;

        if (!net)
                return err_set(err, ENETDOWN, "network %s does not exist", ref->network);
        r = lease(in, shared, ref, &ip, err);
        if (r < 0)
                return r;
        nic = array_push(&in->nics, &in->nics_len);
        nic->network = xstrdup(ref->network);
        nic->shared = xstrdup(shared);
        nic->ip = ip;
        nic->gateway = net->gateway;
        nic->bits = net->bits;
        nic->egress = net->egress && !no_egress;
        nic->tap_fd = -1;
        for (size_t i = 0; i < ref->aliases.len; i++)
                *array_push(&nic->aliases.items, &nic->aliases.len) =
                        xstrdup(ref->aliases.items[i]);
        return 0;
}

int instance_make_nics(struct instance *in, const struct service *service, struct err *err)
{
        int r = 0;

        assert(service->networks_len <= VM_NICS_MAX); /* as schema/ checks */
        for (size_t i = 0; r == 0 && i < service->networks_len; i++)
                r = copy_nic(in, &service->networks[i], service->no_egress, err);
        return r;
}

static struct tap_request *request_new(struct instance *in, size_t nic)
{
        struct tap_request *request = xnew(struct tap_request);

        request->instance = in;
        request->nic = nic;
        in->nics[nic].request = request;
        return request;
}

static int open_taps(struct instance *in, struct err *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < in->nics_len; i++) {
                struct tap_request *request = request_new(in, i);

                r = networks_open_tap(in->env->networks, nic_stack(in, &in->nics[i]),
                                      nic_network(&in->nics[i]), on_tap_opened, request, err);
                if (r < 0) {
                        in->nics[i].request = NULL;
                        free(request);
                }
        }
        return r;
}

void instance_drop_member(struct instance *in)
{
        pool_member_free(STEAL(in->member));
}

/* Whether it waits or has been claimed: what comes instead needs a tap that netd makes. */
static int give_up_member(struct instance *in, const struct err *why, struct err *err)
{
        instance_drop_member(in);
        instance_forget_taps(in);
        instance_close_taps(in);
        free(in->pool_reason);
        in->pool_reason = xasprintf("%s%s", in->vm ? "" : "no machine of the pool: ", why->msg);
        return open_taps(in, err);
}

static void on_tap_moved(void *ctx, int none, const struct err *err)
{
        struct tap_request *request = ctx;
        struct instance *in = request->instance;
        struct err why = ERR_INIT;

        (void)none;
        if (!in) {
                free(request);
                return;
        }
        in->nics[request->nic].request = NULL;
        free(request);
        if (in->state != VM_PREPARING && in->state != VM_BOOTING)
                return; /* it failed or is stopped: nothing comes any more */
        if (!err)
                instance_run(in);
        else if (give_up_member(in, err, &why) < 0)
                instance_fail(in, EXIT_PREPARE, why.msg);
}

static int move_taps(struct instance *in, struct err *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < in->nics_len; i++) {
                struct tap_request *request = request_new(in, i);

                r = networks_move_tap(
                        in->env->networks, nic_stack(in, &in->nics[i]), nic_network(&in->nics[i]),
                        pool_member_tap_name(in->member, i), on_tap_moved, request, err);
                if (r < 0) {
                        in->nics[i].request = NULL;
                        free(request);
                }
        }
        return r;
}

int instance_ask_taps(struct instance *in, struct err *err)
{
        struct err why = ERR_INIT;

        if (!in->member)
                return open_taps(in, err);
        return move_taps(in, &why) < 0 ? give_up_member(in, &why, err) : 0;
}

bool instance_has_taps(const struct instance *in)
{
        for (size_t i = 0; i < in->nics_len; i++)
                if (in->nics[i].request)
                        return false;
        return true;
}
