// Reads a JSON array of documents from stdin, validates those of which there is a model, and prints a JSON array of
// {document, problem} for those that are wrong, and of {document, unknown} for those that nobody knows.
const packages = {
  "keda.sh/v1alpha1": "@kubernetes-models/keda/keda.sh/v1alpha1",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
  "gateway.networking.k8s.io/v1": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1",
};
const models = new Map();
for (const [version, path] of Object.entries(packages)) models.set(version, await import(path));

function judge(document) {
  const name = `${document.kind}/${document.metadata?.name}`;
  const Model = models.get(document.apiVersion)?.[document.kind];
  if (!Model) return [{ document: name, unknown: document.apiVersion }];
  try {
    new Model(document).validate();
    return [];
  } catch (error) {
    return [{ document: name, problem: error.message }];
  }
}

let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => console.log(JSON.stringify(JSON.parse(text).flatMap(judge))));
