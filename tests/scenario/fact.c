/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `fact` of the scenario language: what happens to images, networks and VMs. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/value.h"
#include "tests/scenario/line.h"

static int do_image(struct scenario *s, struct err *err)
{
        static const char *const states[] = {"unknown", "ready", "missing", "busy"};
        struct image_fact *image = world_image(&s->world, line_word(s, 2));

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                if (!streq(states[i], line_word(s, 3)))
                        continue;
                image->state = (enum image_state)i;
                free(image->message);
                image->message = xstrdup(line_text_behind(s, 4));
                return 0;
        }
        return err_set(err, EINVAL, "unknown image state %s", line_word(s, 3));
}

static void ready_images(struct world *world)
{
        for (size_t i = 0; i < world->stacks_len; i++)
                for (size_t j = 0; j < world->stacks[i]->services_len; j++)
                        if (world->stacks[i]->services[j].image)
                                world_image(world, world->stacks[i]->services[j].image)->state =
                                        IMAGE_READY;
}

static int do_network(struct scenario *s, struct err *err)
{
        struct network_fact *network;
        const char *stack, *name;
        unsigned n;

        line_split_replica(s->words[2], &stack, &name, &n);
        network = world_net(&s->world, stack, name);
        free(network->message);
        network->message = xstrdup(line_text_behind(s, 4));
        if (streq(line_word(s, 3), "gone")) {
                world_net_gone(&s->world, network);
                return 0;
        }
        if (streq(line_word(s, 3), "guests")) {
                network->guests = (unsigned)strtoul(line_word(s, 4), NULL, 10);
                return 0;
        }
        network->up = streq(line_word(s, 3), "up");
        network->removing = streq(line_word(s, 3), "removing");
        network->failed_ms = streq(line_word(s, 3), "failed") ? s->world.now_ms : 0;
        network->failures = network->failed_ms ? network->failures + 1
                            : network->up      ? 0
                                               : network->failures;
        if (network->up || network->removing || network->failed_ms ||
            streq(line_word(s, 3), "coming"))
                return 0;
        return err_set(err, EINVAL, "unknown network state %s", line_word(s, 3));
}

static void up_networks(struct world *world)
{
        for (size_t i = 0; i < world->facts.networks_len; i++)
                if (!world->facts.networks[i].removing)
                        world->facts.networks[i].up = true;
}

static void set_health(struct world *world, struct vm_fact *vm, enum health_state health,
                       const char *message)
{
        vm->health = health;
        vm->health_since_ms = world->now_ms;
        free(vm->message);
        vm->message = xstrdup(message);
}

static int set_published(const struct scenario *s, struct vm_fact *vm, struct err *err)
{
        int64_t delay_ms = 0;

        vm->degraded = streq(line_word(s, 3), "unpublished");
        if (vm->degraded && value_duration_ms(line_word(s, 4), &delay_ms, err) < 0)
                return -EINVAL;
        vm->degraded_retry_ms = delay_ms ? s->world.now_ms + delay_ms : 0;
        free(vm->message);
        vm->message = vm->degraded ? xstrdup(line_text_behind(s, 5)) : NULL;
        return 0;
}

static int fail_vm(struct scenario *s, struct vm_fact *vm, struct err *err)
{
        for (int r = EXIT_CODE; r <= EXIT_STOPPED; r++) {
                if (!streq(line_word(s, 4), exit_reason_name((enum exit_reason)r)))
                        continue;
                world_vm_ends(&s->world, vm, VM_FAILED, (enum exit_reason)r, 127,
                              line_text_behind(s, 5));
                return 0;
        }
        return err_set(err, EINVAL, "unknown exit reason %s", line_word(s, 4));
}

static int exit_vm(struct scenario *s, struct vm_fact *vm, struct err *err)
{
        int64_t code = 0;

        if (value_int(line_word(s, 4), 0, 255, &code, err) < 0)
                return -EINVAL;
        world_vm_ends(&s->world, vm, VM_EXITED, code > 128 ? EXIT_SIGNAL : EXIT_CODE, (int)code,
                      line_text_behind(s, 5));
        return 0;
}

static int change_vm(struct scenario *s, struct vm_fact *vm, struct err *err)
{
        const char *state = line_word(s, 3);

        if (streq(state, "exited") || streq(state, "ends")) {
                vm->reusable = streq(state, "ends");
                return exit_vm(s, vm, err);
        }
        if (streq(state, "failed"))
                return fail_vm(s, vm, err);
        if (streq(state, "gone"))
                world_vm_gone(&s->world, vm);
        else if (streq(state, "running"))
                world_vm_runs(&s->world, vm);
        else if (streq(state, "starting"))
                set_health(&s->world, vm, HEALTH_STARTING, line_text_behind(s, 4));
        else if (streq(state, "healthy"))
                set_health(&s->world, vm, HEALTH_HEALTHY, NULL);
        else if (streq(state, "unhealthy"))
                set_health(&s->world, vm, HEALTH_UNHEALTHY, line_text_behind(s, 4));
        else if (streq(state, "published") || streq(state, "unpublished"))
                return set_published(s, vm, err);
        else if (streq(state, "preparing") || streq(state, "booting") || streq(state, "stopping")) {
                vm->state = streq(state, "preparing") ? VM_PREPARING
                            : streq(state, "booting") ? VM_BOOTING
                                                      : VM_STOPPING;
                vm->since_ms = s->world.now_ms;
                free(vm->message);
                vm->message = xstrdup(line_text_behind(s, 4));
        } else {
                return err_set(err, EINVAL, "unknown VM state %s", state);
        }
        return 0;
}

static int do_vm(struct scenario *s, struct err *err)
{
        AUTO_FREE char *which = xstrdup(line_word(s, 2));
        const char *stack, *service;
        struct vm_fact *vm;
        unsigned replica;

        if (!strchr(which, '/')) {
                vm = world_find_vm(&s->world, which);
        } else {
                line_split_replica(which, &stack, &service, &replica);
                if (streq(line_word(s, 3), "new")) {
                        (void)world_vm(&s->world, stack, service, replica,
                                       streq(line_word(s, 4), "old") ? "sha256:old" : NULL);
                        return 0;
                }
                vm = world_replica_vm(&s->world, stack, service, replica);
        }
        if (!vm)
                return err_set(err, EINVAL, "no such VM: %s", line_word(s, 2));
        return change_vm(s, vm, err);
}

int fact_change(struct scenario *s, struct err *err)
{
        if (streq(line_word(s, 1), "image"))
                return do_image(s, err);
        if (streq(line_word(s, 1), "network"))
                return do_network(s, err);
        if (streq(line_word(s, 1), "vm"))
                return do_vm(s, err);
        if (streq(line_word(s, 1), "images"))
                ready_images(&s->world);
        else if (streq(line_word(s, 1), "networks"))
                up_networks(&s->world);
        else
                return err_set(err, EINVAL, "unknown fact %s", line_word(s, 1));
        return 0;
}

void facts_finish(struct world *world)
{
        ready_images(world);
        for (size_t i = world->facts.networks_len; i-- > 0;)
                if (world->facts.networks[i].removing)
                        world_net_gone(world, &world->facts.networks[i]);
        up_networks(world);
        for (size_t i = world->facts.vms_len; i-- > 0;) {
                struct vm_fact *vm = &world->facts.vms[i];
                const struct stack *stack = world_find_stack(world, vm->stack);
                const struct service *service =
                        stack ? stack_find_service(stack, vm->service) : NULL;

                if (vm->state == VM_STOPPING) {
                        world_vm_gone(world, vm);
                        continue;
                }
                if (vm->state == VM_PREPARING || vm->state == VM_BOOTING)
                        world_vm_runs(world, vm);
                if (service && service->has_healthcheck && vm->health == HEALTH_NONE)
                        set_health(world, vm, HEALTH_HEALTHY, NULL);
        }
}
