/** A real terminal for tests: a pseudo terminal of Python's, of any width. */
import { spawnSync } from 'node:child_process';

const hasPython = spawnSync('python3', ['-c', 'import pty, fcntl']).status === 0;
/** For a test's `skip`. */
export const NO_TERMINAL = hasPython ? false : 'NOT RUN: there is no python3 to make a pseudo terminal with';

/** Opens a terminal of `columns` (0: one that does not know its size), runs the rest of the arguments on it, and prints what they wrote. */
const ON_TERMINAL = `
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
while True:
    try: data = os.read(fd, 65536)
    except OSError: break
    if not data: break
    sys.stdout.buffer.write(data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** The words in front of a command that is to run on a terminal. */
export function onTerminalOf(columns: number): readonly string[] {
  return ['python3', '-c', ON_TERMINAL, String(columns)];
}

/** Those that move the cursor or clear a row. */
// oxlint-disable-next-line no-control-regex
export const ESCAPES = /\u001b\[\d*[A-Za-z]/g;
