// Opens the status page in Chromium, in light, in dark and as wide as a phone, as its reader would. Fails on a request to
// anywhere else, on any complaint of the browser, on anything that does not fit the width, and on what axe-core finds.
//
//   node look.mjs CHROMIUM URL FOLDER     pictures go to FOLDER

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";

const [program, url, folder] = process.argv.slice(2);
const looks = [
  { name: "light", colorScheme: "light", viewport: { width: 1000, height: 800 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1000, height: 800 } },
  { name: "phone", colorScheme: "light", viewport: { width: 390, height: 844 } },
  { name: "phone-dark", colorScheme: "dark", viewport: { width: 390, height: 844 } },
];
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const faults = [];
await mkdir(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: program, args });
for (const { name, ...look } of looks) {
  const fault = (text) => faults.push(`${name}: ${text}`);
  // What axe-core is put in by would be against the page's policy, so that it gets a page of its own, where that is off.
  const page = await browser.newPage(look);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => fault(`the console says: ${message.text()}`));
  page.on("pageerror", (error) => fault(`an error: ${error}`));
  const response = await page.goto(url, { waitUntil: "networkidle" });
  if (response.status() !== 200) fault(`status ${response.status()}`);
  await page.screenshot({ path: join(folder, `status-page-${name}.png`), fullPage: true });
  if (name === "light") {
    // What stands above the counts.
    const height = await page.evaluate(() => document.querySelector("#callbacks").getBoundingClientRect().top - 12);
    const clip = { x: 0, y: 0, width: look.viewport.width, height };
    await page.screenshot({ path: join(folder, "status-page.png"), fullPage: true, clip });
  }
  const others = asked.filter((one) => one !== url && !one.startsWith("data:"));
  if (others.length > 0) fault(`fetches ${others.join(", ")}`);
  if (!asked.includes(url)) fault("the page itself was not seen to be fetched: this check sees nothing");
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const isDark = ground === "rgb(20, 24, 28)";
  if (isDark !== (look.colorScheme === "dark")) fault(`its ground is ${ground}: the style is not in force`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) fault(`is ${wide} px too wide`);
  await page.close();

  const context = await browser.newContext({ ...look, bypassCSP: true });
  const checked = await context.newPage();
  await checked.goto(url);
  await checked.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  await checked.evaluate(axe.source);
  const options = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
  const found = await checked.evaluate((options) => globalThis.axe.run(document, options), options);
  if (found.passes.length < 15) fault(`axe-core has looked at ${found.passes.length} rules alone`);
  // It cannot tell the contrast of a single character. The words beside each have the same colour.
  const isSymbol = (node) => /^<span aria-hidden="true">.<\/span>$/.test(node.html);
  const unsure = found.incomplete.filter(({ id, nodes }) => id !== "color-contrast" || !nodes.every(isSymbol));
  for (const { id, help, nodes } of [...found.violations, ...unsure]) {
    fault(`axe-core: ${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
  }
  console.log(`${name}: ${found.passes.length} rules of axe-core pass`);
  await context.close();
}
await browser.close();
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
