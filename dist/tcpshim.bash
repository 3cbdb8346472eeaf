# SPDX-License-Identifier: MIT
# tcpshim.bash - bash's completion of tcpshim. What there is to complete, its own help tells.

# The options of a subcommand, one a line, as the help shows them: --log=WHERE, --reuseport[=0|1].
_tcpshim_options() {
	"$1" "$2" --help 2>/dev/null | sed -n 's/^  \(-.*\)/\1/p' | sed 's/  .*//; s/, /\n/g'
	# What takes a command has the options of run.
	[ "$2" != check ] || _tcpshim_options "$1" run
}

# The words that a setting can be: "auto, force, gentle or off; default: auto" under its option.
_tcpshim_values() {
	"$1" run --help 2>/dev/null | sed -n "/^  --$2[=[]/{n;s/;.*//;s/,\| or /\n/g;p;}" 2>/dev/null |
		sed -n 's/^ *\([a-z0-9]*\)$/\1/p; s/^ *\([a-z]*:\)[A-Z].*/\1/p'
}

# The options with a value of their own: "--log stderr" is two words.
_tcpshim_takes_value() {
	[[ $'\n'$(_tcpshim_options "$1" "$2") == *$'\n'"$3="* ]]
}

# Where the command begins behind run or check: COMMAND is set, or empty where it has not begun.
_tcpshim_find_command() {
	local i word
	command_at=
	for ((i = 2; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--)
			command_at=$((i + 1))
			return
			;;
		-*)
			if [ "${COMP_WORDS[i + 1]-}" = = ]; then
				i=$((i + 2))
				while [ "${COMP_WORDS[i + 1]-}" = : ]; do
					i=$((i + 2))
				done
			elif _tcpshim_takes_value "$1" "$2" "$word"; then
				i=$((i + 1))
			fi
			;;
		*)
			command_at=$i
			return
			;;
		esac
	done
}

_tcpshim() {
	local tool=${COMP_WORDS[0]} subcommand=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}
	local option=${COMP_WORDS[COMP_CWORD - 1]} command_at
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$tool" --help 2>/dev/null |
			sed -n 's/^  \([a-z][a-z]*\) .*/\1/p') --help --version" -- "$word")
		return
	fi

	# Bash takes "=" and ":" for words.
	if [ "$word" = = ] || [ "$word" = : ]; then
		word=
	elif [ "$option" = = ]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $subcommand in
	run | check)
		_tcpshim_find_command "$tool" "$subcommand"
		if [ -n "$command_at" ] && [ "$command_at" -lt "$COMP_CWORD" ]; then
			if declare -F _command_offset >/dev/null; then
				_command_offset "$command_at"
			else
				compopt -o default
			fi
			return
		elif [ -n "$command_at" ] && [ "$command_at" = "$COMP_CWORD" ]; then
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -A command -A directory -- "$word")
			return
		fi
		;;
	esac
	if [[ $option == --* ]] && _tcpshim_takes_value "$tool" "$subcommand" "$option" ||
		[[ ${COMP_WORDS[COMP_CWORD]} == "=" || ${COMP_WORDS[COMP_CWORD - 1]} == "=" ]]; then
		case $option in
		--user) mapfile -t COMPREPLY < <(compgen -u -- "$word") ;;
		*) mapfile -t COMPREPLY < <(compgen -W "$(_tcpshim_values "$tool" "${option#--}")" \
			-- "$word") ;;
		esac
		[ "${#COMPREPLY[@]}" -gt 0 ] || compopt -o default
		[[ ${COMPREPLY[0]-} != *: ]] || compopt -o nospace
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_tcpshim_options "$tool" "$subcommand" |
			sed 's/\[.*//; s/=.*/=/')" -- "$word")
		[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
	elif [ "$subcommand" = help ]; then
		COMP_WORDS=("$tool" "$word") COMP_CWORD=1
		_tcpshim
	else
		compopt -o default
	fi
}

complete -F _tcpshim tcpshim
