# libreuse: `make` builds libreuse.so, tcpshim and the demo server into this folder.
#
#   make            libreuse.so, tcpshim and server
#   make install    into PREFIX (/usr/local), or BINDIR, LIBDIR, MANDIR, below DESTDIR
#   make uninstall  the same away again
#   make O=DIR      into that folder; make -f …/Makefile: into this one
#   make demo       the story in about 15 seconds
#   make check      everything that must hold: both compilers, lint, all tests
#   make check-long the same with sanitizers, valgrind, real programs, for minutes
#   make check-fresh the README's two commands on fresh Debian systems; as root, by hand
#   make check-kernels   the tests on Debian's own kernels, under qemu; as root, by hand
#   make lint       the rules that machines check
#   make unit e2e transparent stress      one part of the tests
#   make fuzz       any bytes into each parser, FUZZ_SECONDS (60) each
#   make coverage   which lines of shim/ the tests reach
#   make bench      what it costs, in 10 minutes; BENCH_QUICK=1: in seconds, of no meaning
#   make SAN=address,undefined …          the same with sanitizers
#   make V=1 …      show the commands

# From another folder: everything is made there, of a tree that may be read-only.
TREE := $(dir $(lastword $(MAKEFILE_LIST)))
ifneq ($(realpath $(TREE)),$(realpath .))
$(or $(MAKECMDGOALS),all): from-elsewhere ;
.PHONY: $(MAKECMDGOALS) all from-elsewhere
# What is meant from this folder.
from_here = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))
from-elsewhere:
	@$(MAKE) --no-print-directory -C '$(TREE)' O='$(call from_here,$(O))' \
		$(if $(DESTDIR),DESTDIR='$(call from_here,$(DESTDIR))') $(MAKECMDGOALS)
else

CC      ?= cc
VARIANT ?= $(notdir $(firstword $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
comma   := ,
TOP     := $(if $(O),$(abspath $(O))/)
OUT     := $(TOP)build/$(VARIANT)
CFLAGS  ?= -O2 -g
Q       := $(if $(V),,@)
say      = @printf '  %-7s %s\n' $(1) $(2)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wmissing-prototypes \
        -Wstrict-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual \
        -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough
ifdef WERROR
WARN += -Werror
endif

# The same bytes wherever the tree lies: debuggers find its sources from its top-level folder.
# Empty it where their whole paths are wanted.
PREFIX_MAP ?= -ffile-prefix-map='$(CURDIR)'=.

# _DEFAULT_SOURCE and friends: the intercepted calls are GNU ones as well.
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iinclude -Ishim $(WARN) $(PREFIX_MAP) \
              $(CPPFLAGS) $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)

# The library runs inside other people's programs: nothing exported but the
# hooks, no lazy binding, unwind tables kept (a thread may be cancelled inside
# the real call), thread-local storage that needs no allocation. What checks for the
# program's sake would stop it: -Wp, since that is how some distributions ask for it.
SHIM_CFLAGS := -fPIC -fvisibility=hidden -fexceptions -ftls-model=initial-exec \
               -fno-stack-protector -fno-plt -U_FORTIFY_SOURCE -Wp,-U_FORTIFY_SOURCE \
               -Werror=implicit-function-declaration
# A name of ours means our own function, whatever the program has under that name.
# No start files of the compiler's: each process would look for their names in vain.
# Constants beside the code: each segment more is to be mapped by each process.
SHIM_LDFLAGS := -shared -nostartfiles -Wl,-z,noseparate-code -Wl,-soname,libreuse.so \
                -Wl,-z,defs -Wl,-Bsymbolic-functions -Wl,-z,now -Wl,-z,relro -Wl,--version-script=shim/libreuse.map \
                -Wl,--hash-style=gnu -Wl,--as-needed
# With -flto: rebind.c takes the hooks by their bare names, whatever their types.
SHIM_LDFLAGS += -Wno-lto-type-mismatch

# The large tables come last: what a start writes to then lies in one page before them.
TABLES   := $(addprefix shim/,facts/shim.c observe/choices.c observe/fdtable.c)
SHIM_SRC := $(filter-out $(TABLES),$(sort $(wildcard shim/*/*.[cS]))) $(TABLES)
SHIM_OBJ := $(addprefix $(OUT)/,$(addsuffix .o,$(basename $(SHIM_SRC))))
# What tests and the tool link: the library without its hooks and its boot.
CORE_OBJ := $(filter-out $(OUT)/shim/hooks/% $(OUT)/shim/boot/%,$(SHIM_OBJ))
# Of its boot, what opens a log.
LOG_OPEN := $(addprefix $(OUT)/shim/boot/,open_log.o log_path.o complain.o told.o)

CLI_OBJ  := $(patsubst %.c,$(OUT)/%.o,$(sort $(wildcard cli/*.c)))
# Of the tool what tests link too.
PURE_CLI := $(addprefix $(OUT)/cli/,run_options.o records.o ring_format.o numbers.o places.o \
	json.o json_take.o note_json.o event_json.o endpoint_parse.o lines.o cli.o unclosed.o elf_file.o \
	script.o wrapper.o table.o lives.o)

UNIT     := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
DEMOS    := $(patsubst demo/%.c,$(OUT)/demo/%,$(wildcard demo/*.c))
PROGRAMS := $(patsubst tests/%.c,$(OUT)/tests/%,$(wildcard tests/programs/*.c tests/stress/*.c))

all: $(addprefix $(TOP),libreuse.so tcpshim server)
.PHONY: all install uninstall demo check lint unit unit-programs e2e transparent stress fuzz coverage bench check-long check-fresh check-kernels programs clean
.DELETE_ON_ERROR:

$(TOP)libreuse.so: $(OUT)/libreuse.so
	$(Q)cp -f $< $@.new && mv -f $@.new $@
$(TOP)tcpshim: $(OUT)/tcpshim
	$(Q)cp -f $< $@.new && mv -f $@.new $@
$(TOP)server: $(OUT)/demo/server
	$(Q)cp -f $< $@.new && mv -f $@.new $@

$(OUT)/libreuse.so: $(SHIM_OBJ) shim/libreuse.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(SHIM_LDFLAGS) -o $@ $(SHIM_OBJ) $(LDFLAGS) -ldl

$(OUT)/shim/%.o: shim/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

# Without -g: clang's assembler notes its folder, whatever PREFIX_MAP says.
$(OUT)/shim/%.o: shim/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -Ishim $(CPPFLAGS) $(CFLAGS) $(SHIM_CFLAGS) -g0 -MMD -MP -c -o $@ $<

# The tool: a program of its own, so none of the library's restraints.
$(OUT)/tcpshim: $(CLI_OBJ) $(CORE_OBJ) $(LOG_OPEN)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(CLI_OBJ) $(CORE_OBJ) $(LOG_OPEN) $(LDFLAGS)

$(OUT)/cli/%.o: cli/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Icli -MMD -MP -c -o $@ $<

$(OUT)/unit/%: tests/unit/%.c $(CORE_OBJ) $(PURE_CLI)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Icli -MMD -MP -o $@ $< $(CORE_OBJ) $(PURE_CLI) $(LDFLAGS) \
		-lcmocka -lpthread

# The library once more, for the one test in which each of its system calls can fail.
NEVER_FAIL  := $(filter $(OUT)/shim/facts/% %_stack.o %_entry.o,$(CORE_OBJ))
FAILING_OBJ := $(patsubst $(OUT)/shim/%,$(OUT)/failing/%,\
                $(filter-out $(NEVER_FAIL),$(CORE_OBJ)) $(LOG_OPEN))
$(OUT)/failing/%.o: shim/%.c
	$(call say,CC,"$< (failing)")
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(SHIM_CFLAGS) -DSYS_FAILING -MMD -MP -c -o $@ $<

$(OUT)/unit/test_failing: tests/unit/test_failing.c $(FAILING_OBJ) $(NEVER_FAIL)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(FAILING_OBJ) $(NEVER_FAIL) $(LDFLAGS) \
		-lcmocka -lpthread

$(OUT)/demo/%: demo/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(LDFLAGS)

# Small programs that the tests run with and without the shim.
$(OUT)/tests/%: tests/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(LDFLAGS) -lpthread

programs: $(PROGRAMS) $(DEMOS)

# tests/fuzz/run builds these with clang, libFuzzer and sanitizers.
FUZZ_OBJ := $(CORE_OBJ) $(LOG_OPEN) $(PURE_CLI)
$(OUT)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_OBJ)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -Icli -fsanitize=fuzzer -MMD -MP -o $@ $< $(FUZZ_OBJ)

fuzz:
	$(Q)tests/fuzz/run

coverage:
	$(Q)tests/coverage

PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
MANDIR  ?= $(PREFIX)/share/man

# tcpshim looks for the library beside itself, and in the lib folders beside its own: in LIBDIR
# where that is none of them.
ifneq ($(BINDIR) $(LIBDIR),$(PREFIX)/bin $(PREFIX)/lib)
ELSEWHERE := -DLIBDIR='"$(LIBDIR)/"'
endif
$(OUT)/cli/preload.o: ALL_CFLAGS += $(ELSEWHERE)
$(OUT)/cli/preload.o: $(OUT)/elsewhere
$(OUT)/elsewhere: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo "$(ELSEWHERE)" | cmp -s - $@ || echo "$(ELSEWHERE)" >$@
FORCE:

install: $(OUT)/libreuse.so $(OUT)/tcpshim
	$(call say,INSTALL,'$(DESTDIR)$(PREFIX)')
	$(Q)install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)'
	$(Q)install -d '$(DESTDIR)$(MANDIR)/man1' '$(DESTDIR)$(MANDIR)/man8'
	$(Q)install -m 755 $(OUT)/tcpshim '$(DESTDIR)$(BINDIR)'
	$(Q)install -m 644 $(OUT)/libreuse.so '$(DESTDIR)$(LIBDIR)'
	$(Q)install -m 644 docs/tcpshim.1 '$(DESTDIR)$(MANDIR)/man1'
	$(Q)install -m 644 docs/libreuse.so.8 '$(DESTDIR)$(MANDIR)/man8'

uninstall:
	rm -f '$(DESTDIR)$(BINDIR)/tcpshim' '$(DESTDIR)$(LIBDIR)/libreuse.so' \
		'$(DESTDIR)$(MANDIR)/man1/tcpshim.1' '$(DESTDIR)$(MANDIR)/man8/libreuse.so.8'

$(OUT)/bench/work: tests/bench/work.c tests/bench/bare.c tests/bench/bare.h shim/sys/sys.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS) -lpthread

# What any preloaded library costs at the start of a process.
$(OUT)/bench/empty.so:
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared -nostdlib -o $@ -x c /dev/null

bench: all $(OUT)/bench/work $(OUT)/bench/empty.so
	$(Q)OUT=$(OUT) tests/bench/run

demo: all $(DEMOS)
	$(Q)OUT=$(OUT) sh demo/story.sh

unit-programs: $(UNIT)

unit: $(UNIT)
	$(Q)rc=0; for t in $(UNIT); do $$t || rc=1; done; exit $$rc

# The tests of the whole: tests/run finds and runs what is in the folder named.
e2e transparent stress: all programs
	$(Q)OUT=$(OUT) tests/run $@

lint:
	$(Q)OUT=$(OUT) CC=$(CC) tests/lint/lint

check:
	$(Q)tests/check

check-long:
	$(Q)tests/check-long

check-fresh:
	$(Q)tests/check-fresh

check-kernels:
	$(Q)tests/check-kernels

clean:
	rm -rf $(TOP)build $(TOP)libreuse.so $(TOP)server $(TOP)tcpshim

-include $(SHIM_OBJ:.o=.d) $(FAILING_OBJ:.o=.d) $(wildcard $(OUT)/*/*.d $(OUT)/tests/*/*.d)

endif
