# SPDX-License-Identifier: MIT
# tcpshim.fish - fish's completion of tcpshim. What there is to complete, its own help tells.

function __tcpshim_help
    command -q tcpshim; and command tcpshim $argv --help 2>/dev/null
end

function __tcpshim_subcommands
    __tcpshim_help | string replace -rf '^  ([a-z]+) +(.*)' '$1\t$2'
end

# The options of a subcommand and what they do; those with a value end with "=".
function __tcpshim_options_of
    for line in (__tcpshim_help $argv | string match -r '^  -.*')
        set -l about (string replace -rf '^  -.*?[^ ]  +(.*)' '$1' -- $line)
        for option in (string replace -r '^  (.*?)(  .*)?$' '$1' -- $line | string split ', ')
            printf '%s\t%s\n' (string replace -r '(=|\[=).*' '$1' -- $option |
                string replace '[=' '') "$about"
        end
    end
    # What takes a command has the options of run.
    test "$argv" = check; and __tcpshim_options_of run
end

# The words that a setting can be: "auto, force, gentle or off; default: auto" under its option.
function __tcpshim_values
    __tcpshim_help run | sed -n "/^  $argv""[=[]/{n;s/;.*//;s/,\| or /\n/g;p;}" 2>/dev/null |
        sed -n 's/^ *\([a-z0-9]*\)$/\1/p; s/^ *\([a-z]*:\)[A-Z].*/\1/p'
end

# Of run and check: the command on the line with its arguments, as far as it is written.
function __tcpshim_command
    set -l words (commandline -opc) (commandline -ct)
    set -l with_value (__tcpshim_options_of $words[2] | string replace -rf '^(--.*)=\t.*' '$1')
    contains -- $words[2] run check; or return 1
    set -e words[1..2]
    while set -q words[1]
        switch $words[1]
            case --
                set -e words[1]
                break
            case '-*'
                contains -- $words[1] $with_value; and set -e words[1]
                set -e words[1]
            case '*'
                break
        end
    end
    set -q words[1]; and echo "$words"
end

function __tcpshim_complete_command
    set -l written (__tcpshim_command)
    complete -C "$written"
end

# The options; of one that is begun with its "=", the values.
function __tcpshim_options
    set -l subcommand (commandline -opc)[2]
    set -l option (string match -rg -- '^(--.*)=' (commandline -ct))
    if test -n "$option"
        string replace -r -- "^" "$option=" (__tcpshim_values $option)
    else
        __tcpshim_options_of $subcommand
    end
end

complete -c tcpshim -f -n __fish_use_subcommand -a '(__tcpshim_subcommands)'
complete -c tcpshim -n __fish_use_subcommand -s h -l help -d 'Show how it is used'
complete -c tcpshim -n __fish_use_subcommand -s V -l version -d 'Show the version'
complete -c tcpshim -f -n 'string match -q help (commandline -opc)[2]' \
    -a '(__tcpshim_subcommands)'
complete -c tcpshim -n 'string match -q -- "-*" (commandline -ct)
    and not __fish_use_subcommand; and not __tcpshim_command >/dev/null' -a '(__tcpshim_options)'
complete -c tcpshim -x -n '__tcpshim_command >/dev/null' -a '(__tcpshim_complete_command)'
