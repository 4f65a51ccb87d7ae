/* SPDX-License-Identifier: BSD-3-Clause */
/* A test's own conversation with the TPM of a box, past the bus: as its owner, or just to look. */
#ifndef WEIR_TESTS_UNIT_TPM_OWN_H
#define WEIR_TESTS_UNIT_TPM_OWN_H

#include "tests/unit/tpm_box.h"

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#define MUST(call) CU_ASSERT_EQUAL_FATAL((call), 0)

struct own {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
};

static inline struct own
own_begin(const struct tpm_box *tpm)
{
	struct own own = {0};

	MUST(Tss2_TctiLdr_Initialize(tpm_tcti(tpm, false), &own.tcti));
	MUST(Esys_Initialize(&own.esys, own.tcti, NULL));
	return own;
}

static inline void
own_end(struct own *own)
{
	Esys_Finalize(&own->esys);
	Tss2_TctiLdr_Finalize(&own->tcti);
}

/* Sessions and objects in the TPM. */
static inline uint32_t
count_handles(const struct tpm_box *tpm)
{
	const TPM2_HANDLE first[] = {TPM2_LOADED_SESSION_FIRST, TPM2_ACTIVE_SESSION_FIRST,
	                             TPM2_TRANSIENT_FIRST};
	struct own own = own_begin(tpm);
	uint32_t count = 0;

	for (size_t i = 0; i < WEIR_TEST_COUNT(first); i++) {
		TPMS_CAPABILITY_DATA *data;
		TPMI_YES_NO more;

		MUST(Esys_GetCapability(own.esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		                        TPM2_CAP_HANDLES, first[i], 32, &more, &data));
		count += data->data.handles.count;
		Esys_Free(data);
	}
	own_end(&own);
	return count;
}

static inline void
set_owner_password(const struct tpm_box *tpm, const char *old, const char *new)
{
	struct own own = own_begin(tpm);
	TPM2B_AUTH auth = {.size = (uint16_t)strlen(old)};

	memcpy(auth.buffer, old, auth.size);
	MUST(Esys_TR_SetAuth(own.esys, ESYS_TR_RH_OWNER, &auth));
	auth.size = (uint16_t)strlen(new);
	memcpy(auth.buffer, new, auth.size);
	MUST(Esys_HierarchyChangeAuth(own.esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	                              ESYS_TR_NONE, &auth));
	own_end(&own);
}

#endif
