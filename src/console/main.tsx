import { CSPProvider } from "@base-ui/react/csp-provider";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { applyTheme, storedTheme } from "./theme.ts";

applyTheme(storedTheme());
const root = document.getElementById("root");
if (root === null) throw new Error("the page has no #root");
// The policy of the page allows no inline style elements.
createRoot(root).render(
  <CSPProvider disableStyleElements>
    <App />
  </CSPProvider>,
);
