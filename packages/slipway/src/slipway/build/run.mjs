// Run a script in the CPython of pyodide, with a folder as /mnt/build: node run.mjs <folder of pyodide> <script> <folder>
import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { pathToFileURL } from "node:url";

// A build promises to need no network: pyodide would fetch missing packages from its CDN, and nobody would notice.
Socket.prototype.connect = () => {
  throw new Error("the compiler must not reach the network");
};

const [, , pyodide, script, work] = process.argv;
try {
  const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`).href);
  const python = await loadPyodide();
  python.mountNodeFS("/mnt/build", work);
  python.runPython(readFileSync(script, "utf8"));
} catch (error) {
  // Node would print the line of source that failed, which is a megabyte long. An error in Python has its traceback here.
  console.error(error.message.trimEnd());
  process.exit(1);
}
