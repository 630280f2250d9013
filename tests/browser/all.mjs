// All suites, one after the other in one process: they share the server and its one worker.
import "./open.mjs";
import "./mask.mjs";
import "./view.mjs";
import "./paint.mjs";
import "./results.mjs";
import "./history.mjs";
import "./code.mjs";
import "./access.mjs";
import "./errors.mjs";
import "./token.mjs";
