# fish completion of haproxy-log-exporter.

function __haproxy_log_exporter_complete --description "Find candidates; without any, fish gives names of files"
    set -lx _HAPROXY_LOG_EXPORTER_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION get-args
    set -lx _TYPER_COMPLETE_ARGS (commandline --cut-at-cursor --current-process | string collect)
    set -l program (commandline --tokenize --current-process)[1]
    set -g __haproxy_log_exporter_candidates ($program 2>/dev/null | string match --regex '.+')

    # Of --option=value the candidates are values, and fish wants them whole.
    set -l option (commandline --cut-at-cursor --current-token | string match --regex -- '^--[^=]*=')
    and set __haproxy_log_exporter_candidates $option$__haproxy_log_exporter_candidates
    test -n "$__haproxy_log_exporter_candidates"
end

for command in haproxy-log-exporter prometheus-haproxy-log-exporter
    complete --command $command --no-files --condition __haproxy_log_exporter_complete \
        --arguments '$__haproxy_log_exporter_candidates'
end
