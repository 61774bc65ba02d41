/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/scenario/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void world_init(struct world *world)
{
        *world = (struct world){.now_ms = WORLD_BEGIN_MS};
}

static void forget_hashes(struct world *world);

void world_release(struct world *world)
{
        for (size_t i = 0; i < world->stacks_len; i++)
                stack_free(world->stacks[i]);
        for (size_t i = 0; i < world->leaving_len; i++)
                stack_free(world->leaving[i]);
        forget_hashes(world);
        free(world->hashed);
        for (size_t i = 0; i < world->wishes_len; i++) {
                free(world->wishes[i].stack);
                free(world->wishes[i].service);
                free(world->wishes[i].wish.cause);
                free(world->wishes[i].wish.good);
                free(world->wishes[i].wish.image);
        }
        free(world->wishes);
        free(world->stacks);
        free(world->leaving);
        facts_release(&world->facts);
        *world = (struct world){0};
}

struct stack *world_find_stack(const struct world *world, const char *name)
{
        for (size_t i = 0; i < world->stacks_len; i++)
                if (streq(world->stacks[i]->name, name))
                        return world->stacks[i];
        return NULL;
}

static int stack_cmp(const void *a, const void *b)
{
        return strcmp((*(struct stack *const *)a)->name, (*(struct stack *const *)b)->name);
}

/* Only one earlier revision is kept of a stack, as the orchestrator does. */
static void leave(struct world *world, struct stack *stack)
{
        for (size_t i = 0; i < world->leaving_len; i++) {
                if (!streq(world->leaving[i]->name, stack->name))
                        continue;
                stack_free(world->leaving[i]);
                world->leaving[i] = stack;
                return;
        }
        *array_push(&world->leaving, &world->leaving_len) = stack;
}

void world_drop(struct world *world, const char *name, bool keep)
{
        forget_hashes(world);
        for (size_t i = 0; i < world->stacks_len; i++) {
                if (!streq(world->stacks[i]->name, name))
                        continue;
                if (keep)
                        leave(world, world->stacks[i]);
                else
                        stack_free(world->stacks[i]);
                memmove(&world->stacks[i], &world->stacks[i + 1],
                        (world->stacks_len - i - 1) * sizeof(*world->stacks));
                world->stacks_len--;
                return;
        }
}

struct stack *world_stack(struct world *world, const char *name)
{
        struct stack *stack = xnew(struct stack);
        struct stack **grown;

        world_drop(world, name, true);
        stack->name = xstrdup(name);
        grown = xcalloc(world->stacks_len + 1, sizeof(*grown));
        if (world->stacks_len)
                memcpy(grown, world->stacks, world->stacks_len * sizeof(*grown));
        free(world->stacks);
        world->stacks = grown;
        world->stacks[world->stacks_len++] = stack;
        qsort(world->stacks, world->stacks_len, sizeof(*world->stacks), stack_cmp);
        return stack;
}

static const struct service_wish *find_wish(const struct world *world, const char *stack,
                                            const char *service)
{
        for (size_t i = 0; i < world->wishes_len; i++)
                if (streq(world->wishes[i].stack, stack) &&
                    streq(world->wishes[i].service, service))
                        return &world->wishes[i].wish;
        return NULL;
}

struct service_wish *world_wish(struct world *world, const char *stack, const char *service)
{
        struct wish_entry *entry;

        forget_hashes(world);
        for (size_t i = 0; i < world->wishes_len; i++)
                if (&world->wishes[i].wish == find_wish(world, stack, service))
                        return &world->wishes[i].wish;
        entry = array_push(&world->wishes, &world->wishes_len);
        entry->stack = xstrdup(stack);
        entry->service = xstrdup(service);
        return &entry->wish;
}

static void forget_hashes(struct world *world)
{
        for (size_t i = 0; i < world->hashed_len; i++) {
                free(world->hashed[i].wishes->services);
                free(world->hashed[i].wishes);
                stack_hashes_free(world->hashed[i].hashes);
        }
        world->hashed_len = 0;
}

/* The wishes of a stack in the order of its services; their texts are borrowed. */
static struct stack_wishes *wishes_new(const struct world *world, const struct stack *stack)
{
        struct stack_wishes *wishes = xnew(struct stack_wishes);

        wishes->services = xcalloc(stack->services_len, sizeof(*wishes->services));
        wishes->services_len = stack->services_len;
        for (size_t i = 0; i < stack->services_len; i++) {
                const struct service_wish *wish =
                        find_wish(world, stack->name, stack->services[i].name);

                if (wish)
                        wishes->services[i] = *wish;
        }
        return wishes;
}

static const struct hash_entry *hashes_of(struct world *world, const struct stack *stack)
{
        struct hash_entry *entry;

        for (size_t i = 0; i < world->hashed_len; i++)
                if (world->hashed[i].stack == stack &&
                    world->hashed[i].hashes->services_len == stack->services_len)
                        return &world->hashed[i];
        entry = array_push(&world->hashed, &world->hashed_len);
        entry->stack = stack;
        entry->wishes = wishes_new(world, stack);
        entry->hashes = stack_hashes_new(stack, entry->wishes);
        return entry;
}

void world_plan(struct world *world, struct plan *ret_plan)
{
        const struct stack_wishes **wishes = xcalloc(world->stacks_len, sizeof(*wishes));
        const struct stack_hashes **hashes = xcalloc(world->stacks_len, sizeof(*hashes));
        struct reconcile_input input = {
                .wishes = wishes,
                .hashes = hashes,
                .stacks = (const struct stack *const *)world->stacks,
                .stacks_len = world->stacks_len,
                .leaving = (const struct stack *const *)world->leaving,
                .leaving_len = world->leaving_len,
                .facts = &world->facts,
                .now_ms = world->now_ms,
                .seed = world->seed,
        };

        for (size_t i = 0; i < world->stacks_len; i++) {
                wishes[i] = hashes_of(world, world->stacks[i])->wishes;
                hashes[i] = hashes_of(world, world->stacks[i])->hashes;
        }
        reconcile(&input, ret_plan);
        free(wishes);
        free(hashes);
}

struct vm_fact *world_find_vm(struct world *world, const char *id)
{
        for (size_t i = 0; i < world->facts.vms_len; i++)
                if (streq(world->facts.vms[i].id, id))
                        return &world->facts.vms[i];
        return NULL;
}

struct vm_fact *world_replica_vm(struct world *world, const char *stack, const char *service,
                                 unsigned replica)
{
        for (size_t i = world->facts.vms_len; i-- > 0;) {
                struct vm_fact *vm = &world->facts.vms[i];

                if (streq(vm->stack, stack) && streq(vm->service, service) &&
                    vm->replica == replica)
                        return vm;
        }
        return NULL;
}

struct replica_fact *world_memory(struct world *world, const char *stack, const char *service,
                                  unsigned replica)
{
        struct replica_fact *memory;

        for (size_t i = 0; i < world->facts.replicas_len; i++) {
                memory = &world->facts.replicas[i];
                if (streq(memory->stack, stack) && streq(memory->service, service) &&
                    memory->replica == replica)
                        return memory;
        }
        memory = array_push(&world->facts.replicas, &world->facts.replicas_len);
        memory->stack = xstrdup(stack);
        memory->service = xstrdup(service);
        memory->replica = replica;
        return memory;
}

struct image_fact *world_image(struct world *world, const char *ref)
{
        struct image_fact *image;

        for (size_t i = 0; i < world->facts.images_len; i++)
                if (streq(world->facts.images[i].ref, ref))
                        return &world->facts.images[i];
        image = array_push(&world->facts.images, &world->facts.images_len);
        image->ref = xstrdup(ref);
        return image;
}

struct network_fact *world_net(struct world *world, const char *stack, const char *network)
{
        const struct stack *desired = world_find_stack(world, stack);
        const struct network *declared = desired ? stack_find_network(desired, network) : NULL;
        struct network implied = {.name = (char *)(uintptr_t)network};
        struct network_fact *fact;
        char hash[DIGEST_TEXT_MAX];

        for (size_t i = 0; i < world->facts.networks_len; i++)
                if (streq(world->facts.networks[i].stack, stack) &&
                    streq(world->facts.networks[i].network, network))
                        return &world->facts.networks[i];
        fact = array_push(&world->facts.networks, &world->facts.networks_len);
        fact->stack = xstrdup(stack);
        fact->network = xstrdup(network);
        network_hash(declared ? declared : &implied, hash);
        fact->spec_hash = xstrdup(hash);
        return fact;
}

void world_net_gone(struct world *world, const struct network_fact *network)
{
        size_t i = (size_t)(network - world->facts.networks);
        struct network_fact *fact = &world->facts.networks[i];

        free(fact->stack);
        free(fact->network);
        free(fact->spec_hash);
        free(fact->message);
        *fact = world->facts.networks[--world->facts.networks_len];
}

char *world_hash(struct world *world, const char *stack, const char *service)
{
        const struct stack *desired = world_find_stack(world, stack);
        const struct service *spec = desired ? stack_find_service(desired, service) : NULL;

        if (!spec)
                return xstrdup("sha256:unknown");
        return xstrdup(hashes_of(world, desired)->hashes->services[spec - desired->services]);
}

struct vm_fact *world_vm(struct world *world, const char *stack, const char *service,
                         unsigned replica, const char *hash)
{
        struct vm_fact *vm = array_push(&world->facts.vms, &world->facts.vms_len);

        vm->id = xasprintf("vm-%u", ++world->last_vm);
        vm->stack = xstrdup(stack);
        vm->service = xstrdup(service);
        vm->replica = replica;
        vm->spec_hash = hash ? xstrdup(hash) : world_hash(world, stack, service);
        vm->since_ms = vm->health_since_ms = world->now_ms;
        return vm;
}

void world_vm_runs(struct world *world, struct vm_fact *vm)
{
        vm->state = VM_RUNNING;
        vm->since_ms = vm->health_since_ms = world->now_ms;
        replica_on_started(world_memory(world, vm->stack, vm->service, vm->replica), world->now_ms);
}

/* Whether a younger VM has taken the replica over: then the end of this one says nothing. */
static bool is_superseded(const struct world *world, const struct vm_fact *vm)
{
        for (const struct vm_fact *v = vm + 1; v < world->facts.vms + world->facts.vms_len; v++)
                if (streq(v->stack, vm->stack) && streq(v->service, vm->service) &&
                    v->replica == vm->replica && v->state != VM_EXITED && v->state != VM_FAILED)
                        return true;
        return false;
}

static const struct service *find_service(const struct world *world, const struct vm_fact *vm)
{
        const struct stack *stack = world_find_stack(world, vm->stack);

        return stack ? stack_find_service(stack, vm->service) : NULL;
}

/* Far in the future: it was not well at all. */
static int64_t well_since(const struct vm_fact *vm, const struct replica_fact *memory)
{
        switch (vm->health) {
        case HEALTH_NONE:
                return memory->started_ms;
        case HEALTH_HEALTHY:
                return vm->health_since_ms;
        case HEALTH_STARTING:
        case HEALTH_UNHEALTHY:
                break;
        }
        return INT64_MAX / 2;
}

void world_vm_ends(struct world *world, struct vm_fact *vm, enum vm_state state,
                   enum exit_reason reason, int code, const char *message)
{
        struct replica_fact *memory = world_memory(world, vm->stack, vm->service, vm->replica);

        vm->state = state;
        vm->since_ms = world->now_ms;
        vm->exit_reason = reason;
        vm->exit_code = code;
        free(vm->message);
        vm->message = xstrdup(message);
        vm->ending = false;
        if (is_superseded(world, vm))
                return;
        if (memory->started_ms)
                replica_on_well(memory, find_service(world, vm),
                                world->now_ms - well_since(vm, memory));
        replica_on_ended(memory, reason, code, vm->spec_hash, world->now_ms);
        replica_set_message(memory, message);
}

void world_vm_gone(struct world *world, struct vm_fact *vm)
{
        if (vm->state != VM_EXITED && vm->state != VM_FAILED && vm->exit_reason == EXIT_NONE &&
            !is_superseded(world, vm))
                replica_on_ended(world_memory(world, vm->stack, vm->service, vm->replica),
                                 EXIT_STOPPED, 0, vm->spec_hash, world->now_ms);
        free(vm->id);
        free(vm->stack);
        free(vm->service);
        free(vm->spec_hash);
        free(vm->message);
        memmove(vm, vm + 1,
                (size_t)(world->facts.vms + world->facts.vms_len - (vm + 1)) * sizeof(*vm));
        world->facts.vms_len--;
}

void world_begin(struct world *world, const struct step *step)
{
        struct vm_fact *vm;

        switch (step->kind) {
        case STEP_IMAGE_RESOLVE:
                world_image(world, step->image)->state = IMAGE_BUSY;
                return;
        case STEP_NETWORK_CREATE:
                world_net(world, step->stack, step->network)->failed_ms = 0; /* under way */
                return;
        case STEP_NETWORK_REMOVE:
                world_net(world, step->stack, step->network)->removing = true;
                return;
        case STEP_VM_RESTART:
                vm = world_find_vm(world, step->vm_id);
                vm->state = VM_BOOTING;
                vm->since_ms = world->now_ms;
                vm->exit_reason = EXIT_NONE;
                vm->health = HEALTH_NONE;
                vm->reusable = false;
                free(vm->message);
                vm->message = NULL;
                return;
        case STEP_VM_END:
                world_find_vm(world, step->vm_id)->ending = true;
                return;
        case STEP_ROLLBACK: /* the scenario's next revision */
        case STEP_STACK_DELETE:
                return;
        case STEP_VM_CREATE:
                (void)world_vm(world, step->stack, step->service, step->replica, NULL);
                return;
        case STEP_VM_STOP:
        case STEP_VM_REMOVE:
                vm = world_find_vm(world, step->vm_id);
                if (!vm)
                        return;
                vm->state = VM_STOPPING;
                vm->since_ms = world->now_ms;
                return;
        }
}
