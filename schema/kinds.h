/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of values that field tables are made of. Comments tell the C type at the offset. */
#ifndef SCHEMA_KINDS_H
#define SCHEMA_KINDS_H

#include "schema/field.h"

extern const struct kind kind_string;   /* char * */
extern const struct kind kind_mac;      /* char *, as value_mac_text() writes it */
extern const struct kind kind_bool;     /* bool; unset: false or true */
extern const struct kind kind_not;      /* bool, told the other way round; unset: true, kept as 0 */
extern const struct kind kind_int;      /* int64_t */
extern const struct kind kind_int32;    /* int */
extern const struct kind kind_unsigned; /* unsigned */
extern const struct kind kind_float;    /* double; unset: 0 */
extern const struct kind kind_bytes;    /* int64_t */
extern const struct kind kind_duration; /* int64_t, milliseconds */
extern const struct kind kind_mode;     /* int: octal file mode */
extern const struct kind kind_choice;   /* int-sized enum; arg: words, NULL at the end */
extern const struct kind kind_argv;     /* struct str_list: list, or words of a string */
extern const struct kind kind_strings;  /* struct str_list: string or list, equal ones once */
extern const struct kind kind_pairs;    /* struct kv_list, sorted: labels, sysctls */
extern const struct kind kind_environ;  /* struct kv_list, sorted; `KEY` alone: no value */
extern const struct kind kind_object;   /* struct; arg: its table */
extern const struct kind kind_named;    /* array of structs; arg: struct named */

/** The text of a scalar as the language has it (numbers and booleans too), or NULL after an error.
 */
const char *reader_scalar(struct reader *r, const struct field *field, const struct node *node);

/** The text of a string, or NULL after an error. */
const char *reader_string(struct reader *r, const struct field *field, const struct node *node);

/** A whole number within min..max: an integer, or a string of digits. False after an error. */
bool reader_int(struct reader *r, const struct field *field, const struct node *node, int64_t min,
                int64_t max, int64_t *ret);

/** A boolean, also in the words that Compose casts. False after an error. */
bool reader_bool(struct reader *r, const struct field *field, const struct node *node, bool *ret);

/** Lists: add a copy at the end (kv: key and value; value NULL stays so); write as a JSON array. */
void str_list_add(struct str_list *list, const char *item);
json_t *str_list_write(const struct str_list *list);
void kv_list_add(struct kv_list *list, const char *key, const char *value);

/** Sort by key; of equal keys the last one stays. */
void kv_list_sort(struct kv_list *list);

/* Checks for `.check` of strings. */
field_check_fn check_name;        /* services */
field_check_fn check_stack_name;  /* stacks: lower case */
field_check_fn check_object_name; /* networks, volumes, configs, secrets */
field_check_fn check_absolute;    /* a path in the guest */
field_check_fn check_hostname;
field_check_fn check_search; /* a domain, or none */
field_check_fn check_ip4;
field_check_fn check_dns;        /* IPv6 is only warned about: normalise() drops it */
field_check_fn check_link_local; /* likewise */
field_check_fn check_dns_opt;
field_check_fn check_signal;
field_check_fn check_not_empty;
field_check_fn check_image;
field_check_fn check_http_path;

#endif
