/** The help texts of the command line. */

export const help = `taskwarden: background work with priorities, on threads and in child processes

  taskwarden map <module>#<function> [inputs... | -]   runs one function over many inputs, on all cores
  taskwarden run <module>                              runs a module that starts tasks, until a signal stops it
  taskwarden queue <file or URL> [action]              looks into a queue, puts failed tasks back, cancels tasks
  taskwarden <command> --help                          tells more about a command
  taskwarden --version
`;

export const mapHelp = `taskwarden map <module>#<function> [flags] [inputs... | -]

Calls the function once for each input, in threads. The module is a file or a built-in, such as node:path; without
#<function> it is the default export. The inputs are the arguments, or the lines of standard input ('-', or no inputs).
Each result is one line of JSON on standard output: {"index":0,"input":"a.png","result":...}, or
{"index":0,"input":"a.png","error":{"name","message","code"}}. What the function prints goes to standard error.

  --json             inputs are JSON: an array is the list of arguments, any other value the only one
  --ordered          results in the order of the inputs, not as they come
  --concurrency <n>  how many run at once (default: the number of cores)
  --retries <n>      how often a failed one is run again (default: 0)
  --timeout <ms>     how long each run may take (default: no limit)
  --type <type>      thread (default), process, or loop: the main event loop, for input and output
  --priority <p>     critical, high, normal (default) or low, as the task sees it
  -o, --output <file>
  --joblog <file>    a line for each input that has ended, in the columns of GNU parallel
  --resume           leaves out the inputs that the job log has, and adds to it and to the output file
  --resume-failed    the same, but those that have failed run again
  --retry-failed     takes those that have failed from the job log, and runs no others
  --halt <when>      never (default), or such as soon,fail=3 or now,success=1 or soon,done=50%: stops when so many inputs
                     have failed, succeeded or ended; now ends those that run, soon lets them finish
  --dry-run          shows which inputs would run, and runs none

Exit codes: 0 all done; 1 some failed; 2 called in a wrong way, or the function can't be loaded; 130 and 143 stopped by
SIGINT (Ctrl-C) and SIGTERM. The first signal lets those that run finish within a second, a second one ends at once.
`;

export const runHelp = `taskwarden run <module>

Starts the default supervisor, imports the module, and keeps it running until SIGINT (Ctrl-C) or SIGTERM. The first
signal lets all submitted tasks finish, a second one ends them.

Exit codes: 0 stopped; 1 the module could not be imported; 2 called in a wrong way; 130 and 143 ended by a second signal.
`;

export const queueHelp = `taskwarden queue <file or URL> [action] [flags] [ids...]

Looks into the queues of a courier: redis://, rediss:// or postgres:// of a BullMQTaskCourier, or the file of a
SqliteTaskCourier. It fetches no tasks. The actions are:

  info             (default) how many tasks wait, by priority, and how many are delayed, leased by workers, or have failed
  list             the tasks that wait, are delayed, leased or have failed, each in a line
  redrive [ids...] puts dead letters of --queue back to wait: these, or all of them
  cancel <ids...>  cancels tasks of --queue
  export           all tasks as lines of JSON, those that have ended, too; of dead letters with their data

  --queue <name>   this queue alone (default: all); redrive and cancel need it
  --state <state>  list and export: waiting, delayed, leased, completed, failed or canceled
  --max <n>        list: how many of each state (default: 100)
  --prefix <p>     of the keys on Redis (default: bull), or the schema on PostgreSQL (default: bullmq)
  --json           lines of JSON, for programs

Exit codes: 0 done; 1 the server can't be reached, or refuses; or not all ids could be redriven or canceled; 2 called in a
wrong way; 130 and 143 stopped by SIGINT (Ctrl-C) and SIGTERM.
`;
