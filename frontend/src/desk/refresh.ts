import htmx from 'htmx.org'

/*
 * Parts of server-rendered pages that refresh themselves, as their hx- attributes say. Nothing is
 * evaluated, nothing is styled from here, and nothing is kept of earlier pages.
 */
htmx.config.allowEval = false
htmx.config.allowScriptTags = false
htmx.config.includeIndicatorStyles = false
htmx.config.historyEnabled = false
htmx.config.selfRequestsOnly = true
htmx.config.timeout = 30_000
