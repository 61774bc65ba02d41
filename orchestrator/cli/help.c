/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/help.h"

#include "base/auto.h"
#include "base/mem.h"

/* Width of the column of commands and options. */
#define NAME_WIDTH 30

static void print_options(const struct option_def *def, FILE *out)
{
        for (; def && def->name; def++) {
                AUTO_FREE char *left =
                        xasprintf("%c%c%s--%s%s%s", def->letter ? '-' : ' ',
                                  def->letter ? def->letter : ' ', def->letter ? ", " : "  ",
                                  def->name, def->value ? " " : "", def->value ? def->value : "");

                (void)fprintf(out, "  %-*s %s\n", NAME_WIDTH, left, def->help); /* as below */
        }
}

/* A help that cannot be written has no one to tell: nothing here checks its output. */
void help_command(const struct command *command, FILE *out)
{
        (void)fprintf(out, "%s\n\nUsage: berth %s %s\n", command->about, command->name,
                      command->usage);
        if (command->alias)
                (void)fprintf(out, "Alias: berth %s\n", command->alias);
        if (command->help)
                (void)fprintf(out, "\n%s", command->help);
        (void)fprintf(out, "\nOptions:\n");
        print_options(command->options, out);
        print_options(args_common, out);
}

void help_program(const struct command_group *groups, size_t count, FILE *out)
{
        (void)fprintf(out,
                      "berth runs stacks of services from YAML manifests; every service gets "
                      "its own virtual machine.\n\n"
                      "Usage: berth [--root DIR] COMMAND [OPTIONS] [ARGUMENTS]\n\n"
                      "Start here:\n"
                      "  berth apply -f stack.yaml      make it run, return when it is healthy\n"
                      "  berth ps                       what runs, where, since when\n"
                      "  berth logs -f STACK            what it says\n"
                      "  berth exec -it STACK/SERVICE -- sh\n"
                      "  berth delete STACK             take it down; named volumes stay\n");
        for (size_t i = 0; i < count; i++) {
                (void)fprintf(out, "\n%s:\n", groups[i].title);
                for (const struct command *const *c = groups[i].commands; *c; c++)
                        (void)fprintf(out, "  %-16s %s\n", (*c)->name, (*c)->about);
        }
        (void)fprintf(out, "\nEverywhere:\n");
        print_options(args_common, out);
        (void)fprintf(
                out, "\nA service is named STACK/SERVICE, a replica STACK/SERVICE/2; SERVICE alone "
                     "works while it\nis the only one of that name. 'berth COMMAND --help' tells "
                     "the rest, with examples.\n\n"
                     "Environment: BERTH_ROOT, BERTH_IMAGES, BERTH_CACHE, NO_COLOR.\n"
                     "Exit codes: 0 done, 1 failed (diff: differences), 64 usage, 65 invalid "
                     "manifest, 66 no such\nfile, 69 no daemon, 124 timeout, 125-127 exec and ci, "
                     "128+n signal.\n");
}
