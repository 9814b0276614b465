// Run a script in the CPython of pyodide, with a folder as /mnt/build: node run.mjs <folder of pyodide> <script> <folder>
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , pyodide, script, work] = process.argv;
try {
  const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`).href);
  const python = await loadPyodide();
  python.mountNodeFS("/mnt/build", work);
  python.runPython(readFileSync(script, "utf8"));
} catch (error) {
  // Node would print the line of source that failed, which is a megabyte long. Of Python, this is the traceback.
  console.error(error.message.trimEnd());
  process.exit(1);
}
