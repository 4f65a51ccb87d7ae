/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/profile_schema.h"

#include "tools/weirgen/profile.h"

#define VALUE_MAX 96U /* longest value: a range of IPv6 addresses */
#define OPTIONAL  (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define VALUE(flags, kind, key, field)                                                             \
	CYAML_FIELD_STRING_PTR(key, flags, struct kind, field, 1, VALUE_MAX)
#define STREAM(field) VALUE(OPTIONAL, weir_raw_stream, #field, field)
#define ENTRIES(kind, field, entry, flags, most)                                                   \
	CYAML_FIELD_SEQUENCE_COUNT(#field, flags, struct kind, field, n_##field, entry, 1, most)

static const cyaml_schema_value_t protocol_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, VALUE_MAX),
};

static const cyaml_schema_field_t step_fields[] = {
    VALUE(CYAML_FLAG_POINTER, weir_raw_step, "for", for_time),
    VALUE(CYAML_FLAG_POINTER, weir_raw_step, "rate", rate),
    VALUE(OPTIONAL, weir_raw_step, "to", to),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t step_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_step, step_fields),
};

static const cyaml_schema_field_t size_fields[] = {
    VALUE(CYAML_FLAG_POINTER, weir_raw_size, "bytes", bytes),
    VALUE(OPTIONAL, weir_raw_size, "weight", weight),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t size_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_size, size_fields),
};

static const cyaml_schema_field_t sessions_fields[] = {
    VALUE(CYAML_FLAG_POINTER, weir_raw_sessions, "count", count),
    VALUE(CYAML_FLAG_POINTER, weir_raw_sessions, "frames", frames),
    VALUE(OPTIONAL, weir_raw_sessions, "gap", gap),
    VALUE(OPTIONAL, weir_raw_sessions, "rate", rate),
    VALUE(CYAML_FLAG_POINTER, weir_raw_sessions, "pause", pause),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t stream_fields[] = {
    VALUE(CYAML_FLAG_POINTER, weir_raw_stream, "name", name),
    STREAM(rate),
    ENTRIES(weir_raw_stream, steps, &step_schema, OPTIONAL, WEIR_PROFILE_STEPS_MAX),
    STREAM(repeat),
    STREAM(arrival),
    CYAML_FIELD_MAPPING_PTR("sessions", OPTIONAL, struct weir_raw_stream, sessions,
                            sessions_fields),
    STREAM(start),
    STREAM(count),
    STREAM(size),
    ENTRIES(weir_raw_stream, sizes, &size_schema, OPTIONAL, WEIR_PROFILE_SIZES_MAX),
    STREAM(source_mac),
    STREAM(destination_mac),
    STREAM(vlan),
    STREAM(ethertype),
    STREAM(source),
    STREAM(destination),
    ENTRIES(weir_raw_stream, protocols, &protocol_schema, OPTIONAL, WEIR_PROFILE_PROTOCOLS_MAX),
    STREAM(source_ports),
    STREAM(destination_ports),
    STREAM(flows),
    STREAM(stamp),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t stream_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_stream, stream_fields),
};

static const cyaml_schema_field_t profile_fields[] = {
    VALUE(OPTIONAL, weir_raw_profile, "name", name),
    VALUE(OPTIONAL, weir_raw_profile, "seed", seed),
    VALUE(OPTIONAL, weir_raw_profile, "duration", duration),
    VALUE(OPTIONAL, weir_raw_profile, "count", count),
    ENTRIES(weir_raw_profile, streams, &stream_schema, CYAML_FLAG_POINTER,
            WEIR_PROFILE_STREAMS_MAX),
    CYAML_FIELD_END,
};

const struct cyaml_schema_value weir_profile_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct weir_raw_profile, profile_fields),
};
