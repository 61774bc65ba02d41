/* SPDX-License-Identifier: Apache-2.0 */
#include "network/resolv_conf.h"

#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/value.h"

#define RESOLV_CONF_MAX 65536

/* "nameserver 10.0.0.1 # note": the address. false: something else. */
static bool server_of(const char *line, size_t n, uint32_t *ret)
{
        static const char word[] = "nameserver";
        size_t len = strlen(word);
        char text[VALUE_IP4_MAX];

        if (n <= len || strncmp(line, word, len) != 0 || !strchr(" \t", line[len]))
                return false;
        line += len + strspn(line + len, " \t");
        len = strcspn(line, " \t\r\n#;");
        if (len >= sizeof(text))
                return false; /* IPv6 */
        memcpy(text, line, len);
        text[len] = '\0';
        return value_ip4(text, ret, NULL) == 0;
}

size_t resolv_conf_parse(const char *text, uint32_t ret[RESOLV_SERVERS_MAX])
{
        size_t count = 0;

        while (*text && count < RESOLV_SERVERS_MAX) {
                size_t n = strcspn(text, "\n");

                if (server_of(text, n, &ret[count]))
                        count++;
                text += n + (text[n] == '\n');
        }
        return count;
}

size_t resolv_conf_read(const char *path, uint32_t ret[RESOLV_SERVERS_MAX])
{
        AUTO_FREE char *text = NULL;
        size_t n, count = 0;

        if (file_read(path, RESOLV_CONF_MAX, &text, &n, NULL) == 0)
                count = resolv_conf_parse(text, ret);
        if (count)
                return count;
        ret[0] = UINT32_C(0x7f000001);
        return 1;
}
