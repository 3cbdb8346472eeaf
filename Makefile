# SPDX-License-Identifier: MIT
# libreuse: `make` builds libreuse.so, tcpshim and the demo server into this folder.
#
#   make            libreuse.so, tcpshim and server
#   make install    into prefix (/usr/local), or bindir, libdir, mandir…, below DESTDIR
#   make uninstall  the same away again
#   make dist       libreuse-VERSION.tar.gz of what is committed
#   make O=DIR      into that folder; make -f …/Makefile: into this one
#   make i386       build/i386/libreuse.so, for 32-bit programs on x86-64 (gcc -m32)
#   make demo       the story in about 15 seconds
#   make tutorial   docs/tcp-states.md and its picture, from runs on this machine's kernel
#   make check      everything that must hold: both compilers, lint, all tests
#   make check-long the same with sanitizers, valgrind, real programs, for minutes
#   make check-fresh the README's two commands on fresh Debian systems; as root, by hand
#   make check-packages  the packages on fresh Debian systems; as root, by hand
#   make check-docker  the containers of docs/DEPLOYMENT.md, with Docker; as root, by hand
#   make check-kernels   the tests on Debian's own kernels, under qemu; as root, by hand
#   make check-fleet  many machines, in namespaces: docs/fleet; as root, by hand
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

# _DEFAULT_SOURCE and friends: the intercepted calls are GNU ones as well. Where a long has 32 bits
# a file may be larger than that; and a time that goes to the kernel is one of longs.
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iinclude -Ishim $(WARN) $(PREFIX_MAP) \
              $(CPPFLAGS) $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) \
              -D_FILE_OFFSET_BITS=64 -U_TIME_BITS -Wno-psabi

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
# Of its boot, what reads settings, opens a log and tells what is left open.
LOG_OPEN := $(addprefix $(OUT)/shim/boot/,open_log.o log_path.o complain.o told.o environment.o \
             left_open.o symbols.o)

CLI_OBJ  := $(patsubst %.c,$(OUT)/%.o,$(sort $(wildcard cli/*.c cli/*/*.c)))
# What tests link too: the tool without its main.
TOOL_OBJ := $(filter-out $(OUT)/cli/main.o,$(CLI_OBJ))

UNIT     := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
DEMOS    := $(patsubst demo/%.c,$(OUT)/demo/%,$(wildcard demo/*.c))
PROGRAMS := $(patsubst tests/%.c,$(OUT)/tests/%,$(wildcard tests/programs/*.c tests/stress/*.c))

all: $(addprefix $(TOP),libreuse.so tcpshim server)
.PHONY: all i386 install uninstall dist demo tutorial check lint unit unit-programs e2e transparent stress fuzz coverage bench check-long check-fresh check-packages check-docker check-kernels check-fleet programs programs-i386 clean
.DELETE_ON_ERROR:

# The library for 32-bit programs on x86-64: build/i386/libreuse.so.
i386:
	$(Q)$(MAKE) --no-print-directory CC='$(CC) -m32' VARIANT=i386 $(TOP)build/i386/libreuse.so

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

# There, each name is the one that libc exports, and no header's other name for it.
$(OUT)/shim/hooks/%.o: ALL_CFLAGS += -U_FILE_OFFSET_BITS

# Without -g: clang's assembler notes its folder, whatever PREFIX_MAP says.
$(OUT)/shim/%.o: shim/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -Ishim $(CPPFLAGS) $(CFLAGS) $(SHIM_CFLAGS) -g0 -MMD -MP -c -o $@ $<

# The tool: a program of its own, so none of the library's restraints.
CLI_LDFLAGS := -Wl,-z,relro -Wl,-z,now
$(OUT)/tcpshim: $(CLI_OBJ) $(CORE_OBJ) $(LOG_OPEN)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(CLI_LDFLAGS) -o $@ $(CLI_OBJ) $(CORE_OBJ) $(LOG_OPEN) $(LDFLAGS)

$(OUT)/cli/%.o: cli/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Icli -MMD -MP -c -o $@ $<

$(OUT)/unit/%: tests/unit/%.c $(CORE_OBJ) $(LOG_OPEN) $(TOOL_OBJ)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Icli -MMD -MP -o $@ $< $(CORE_OBJ) $(LOG_OPEN) $(TOOL_OBJ) $(LDFLAGS) \
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

# Some of them, and of the demos, as LD_PRELOAD does not reach them: where there is a static libc. The
# tests skip what is not there.
STATIC := $(addprefix $(OUT)/tests/static/,supervised scenario server)
define link_static
	$(call say,CC,"$< (static)")
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fsanitize=%,$(ALL_CFLAGS)) -static -MMD -MP -o $@ $< $(LDFLAGS) -lpthread || \
		echo '  not linked statically: $@'
endef
$(OUT)/tests/static/%: tests/programs/%.c
	$(link_static)
$(OUT)/tests/static/%: demo/%.c
	$(link_static)

programs: $(PROGRAMS) $(DEMOS) $(STATIC)

# The same for programs of 32 bits, if the compiler can: the tests skip what is not there.
programs-i386:
	$(Q)if [ '$(VARIANT)' = i386 ]; then :; \
	elif echo '#include <errno.h>' | $(CC) -m32 -shared -x c -o /dev/null - 2>/dev/null; then \
		$(MAKE) --no-print-directory CC='$(CC) -m32' VARIANT=i386 SAN= \
			$(TOP)build/i386/libreuse.so programs; \
	else echo '  no 32-bit programs by $(CC) -m32 (package gcc-multilib): not tested'; fi

# tests/fuzz/run builds these with clang, libFuzzer and sanitizers.
FUZZ_OBJ := $(CORE_OBJ) $(LOG_OPEN) $(TOOL_OBJ)
$(OUT)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_OBJ)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -Icli -fsanitize=fuzzer -MMD -MP -o $@ $< $(FUZZ_OBJ)

fuzz:
	$(Q)tests/fuzz/run

coverage:
	$(Q)tests/coverage

# GNU's names; the same in capitals is understood, too.
prefix      = $(or $(PREFIX),/usr/local)
exec_prefix = $(prefix)
bindir      = $(or $(BINDIR),$(exec_prefix)/bin)
libdir      = $(or $(LIBDIR),$(exec_prefix)/$(LIB))
datarootdir = $(prefix)/share
mandir      = $(or $(MANDIR),$(datarootdir)/man)
bashdir     = $(datarootdir)/bash-completion/completions
zshdir      = $(datarootdir)/zsh/site-functions
fishdir     = $(datarootdir)/fish/vendor_completions.d
INSTALL         ?= install
INSTALL_PROGRAM ?= $(INSTALL) -m 755
INSTALL_DATA    ?= $(INSTALL) -m 644

# The folder in which this machine's dynamic linker looks for a library by its bare name: that of
# several machines' libraries (Debian), or else that of the compiler's word size.
asked = $(shell $(CC) $(CFLAGS) -print-$(1) 2>/dev/null)
multiarch := $(call asked,multiarch)
LIB := $(if $(multiarch),lib/$(multiarch),$(or $(notdir $(call asked,multi-os-directory)),lib))

# Where tcpshim looks for the library first: seen from its own folder, if that moves with it.
LIBRARY_AT = $(if $(filter $(prefix)/bin,$(bindir)),$(libdir:$(prefix)/%=../%),$(libdir))/
$(OUT)/cli/program/preload.o: ALL_CFLAGS += -DLIBDIR='"$(LIBRARY_AT)"'
$(OUT)/cli/program/preload.o: $(OUT)/elsewhere
$(OUT)/elsewhere: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(LIBRARY_AT)' | cmp -s - $@ || echo '$(LIBRARY_AT)' >$@
FORCE:

# What is installed beside tool and library, FILE:PLACE.
DATA   = $(foreach page,$(sort $(wildcard docs/*.[1-8])),\
           $(page):$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
         dist/tcpshim.bash:$(bashdir)/tcpshim dist/_tcpshim:$(zshdir)/_tcpshim \
         dist/tcpshim.fish:$(fishdir)/tcpshim.fish
from   = $(firstword $(subst :, ,$(1)))
to     = $(lastword $(subst :, ,$(1)))
PLACES = $(bindir)/tcpshim $(libdir)/libreuse.so $(foreach one,$(DATA),$(call to,$(one)))

# ldconfig, where the dynamic linker finds what is in that folder by a list that it keeps.
define tell_linker
	$(Q)[ -n '$(DESTDIR)' ] || PATH=$$PATH:/usr/sbin:/sbin; \
		! ldconfig -NXv 2>/dev/null | grep -q '^$(libdir):' || ldconfig || :
endef

install: $(OUT)/libreuse.so $(OUT)/tcpshim
	$(call say,INSTALL,'$(DESTDIR)$(prefix)')
	$(Q)$(INSTALL) -d $(foreach place,$(PLACES),'$(DESTDIR)$(patsubst %/,%,$(dir $(place)))')
	$(Q)$(INSTALL_PROGRAM) $(OUT)/tcpshim '$(DESTDIR)$(bindir)/tcpshim'
	$(Q)$(INSTALL_DATA) $(OUT)/libreuse.so '$(DESTDIR)$(libdir)/libreuse.so'
	$(Q)$(foreach one,$(DATA),$(INSTALL_DATA) $(call from,$(one)) '$(DESTDIR)$(call to,$(one))' &&) :
	$(tell_linker)

uninstall:
	rm -f $(foreach place,$(PLACES),'$(DESTDIR)$(place)')
	$(tell_linker)

# What is committed, with the time of the commit: the same bytes wherever it is made.
NAME = libreuse-$(shell sed -n 's/.*REUSE_VERSION "\(.*\)"/\1/p' include/reuse/version.h)
dist:
	$(call say,DIST,$(TOP)$(NAME).tar.gz)
	$(Q)git archive --prefix=$(NAME)/ -o $(or $(TOP),./)$(NAME).tar HEAD
	$(Q)gzip -9nf $(TOP)$(NAME).tar

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

# Only where every step has shown what it says.
tutorial: $(OUT)/tcpshim $(OUT)/libreuse.so $(DEMOS)
	$(Q)sh demo/tutorial.sh $(OUT)/tcpshim >$(OUT)/tcp-states.md
	$(Q)OUT=$(OUT) sh demo/picture.sh $(OUT)/tcpshim >$(OUT)/states.svg
	$(Q)cp -f $(OUT)/tcp-states.md $(OUT)/states.svg docs

unit-programs: $(UNIT)

unit: $(UNIT)
	$(Q)rc=0; for t in $(UNIT); do $$t || rc=1; done; exit $$rc

# The tests of the whole: tests/run finds and runs what is in the folder named.
e2e transparent stress: all programs programs-i386
	$(Q)OUT=$(OUT) tests/run $@

lint:
	$(Q)OUT=$(OUT) CC=$(CC) tests/lint/lint

check:
	$(Q)tests/check

check-long:
	$(Q)tests/check-long

check-fresh:
	$(Q)tests/check-fresh

check-packages:
	$(Q)tests/check-packages

check-docker:
	$(Q)tests/check-docker

check-kernels:
	$(Q)tests/check-kernels

check-fleet: all programs
	$(Q)OUT=$(OUT) tests/check-fleet

clean:
	rm -rf $(TOP)build $(TOP)libreuse.so $(TOP)server $(TOP)tcpshim

-include $(SHIM_OBJ:.o=.d) $(FAILING_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(wildcard $(OUT)/*/*.d $(OUT)/tests/*/*.d)

endif
