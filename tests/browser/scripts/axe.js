const [rules, done] = [arguments[0], arguments[arguments.length - 1]];
const runOnly = rules ? { type: "rule", values: rules }
  : { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] };
axe.run(document, { runOnly, resultTypes: ["violations"] }).then(
  (found) => done(found.violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id} at ${node.target.join(" ")}: ${node.failureSummary.replace(/\s+/g, " ")}`))),
  (error) => done([`axe failed: ${error}`]));
