/* SPDX-License-Identifier: MIT */
/*
 * test_unwind_abi.c - what observe/unwind.h says of libunwind's types is what
 * libunwind's own headers say.
 */
#include "observe/unwind.h"

#include "unit.h"

#if defined(__x86_64__) && __has_include(<libunwind-x86_64.h>)

#include <libunwind-x86_64.h>

#define SAME_PLACE(ours, our_field, theirs, their_field)                                           \
	assert_int_equal(offsetof(ours, our_field), offsetof(theirs, their_field))

static void the_types_are_libunwinds(void **state)
{
	(void)state;
	assert_true(sizeof(struct unwind_cursor) >= sizeof(unw_cursor_t));
	assert_true(sizeof(struct unwind_accessors) >= sizeof(unw_accessors_t));
#define ACCESSOR(name) SAME_PLACE(struct unwind_accessors, name, unw_accessors_t, name)
	ACCESSOR(find_proc_info);
	ACCESSOR(put_unwind_info);
	ACCESSOR(get_dyn_info_list_addr);
	ACCESSOR(access_mem);
	ACCESSOR(access_reg);
	ACCESSOR(access_fpreg);
	ACCESSOR(resume);
	ACCESSOR(get_proc_name);
#define TABLE(ours, theirs) SAME_PLACE(struct unwind_dyn_info, ours, unw_dyn_info_t, theirs)
	TABLE(start_ip, start_ip);
	TABLE(end_ip, end_ip);
	TABLE(gp, gp);
	TABLE(format, format);
	TABLE(name, u.rti.name_ptr);
	TABLE(segbase, u.rti.segbase);
	TABLE(table_len, u.rti.table_len);
	TABLE(table, u.rti.table_data);
}

static void the_registers_are_libunwinds(void **state)
{
	(void)state;
	assert_int_equal(ARCH_RBX, UNW_X86_64_RBX);
	assert_int_equal(ARCH_RBP, UNW_X86_64_RBP);
	assert_int_equal(ARCH_RSP, UNW_X86_64_RSP);
	assert_int_equal(ARCH_R12, UNW_X86_64_R12);
	assert_int_equal(ARCH_R13, UNW_X86_64_R13);
	assert_int_equal(ARCH_R14, UNW_X86_64_R14);
	assert_int_equal(ARCH_R15, UNW_X86_64_R15);
	assert_int_equal(ARCH_IP, UNW_X86_64_RIP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_types_are_libunwinds),
		cmocka_unit_test(the_registers_are_libunwinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void there_are_no_headers(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(there_are_no_headers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
