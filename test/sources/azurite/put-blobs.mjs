// Puts blobs with Azure's own client, and has it make signatures. Arguments: the folder where it is installed, and the plan as JSON.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [folder, plan] = process.argv.slice(2)
const { connectionString, containers, signatures } = JSON.parse(plan)
const { BlobSASPermissions, BlobServiceClient, ContainerSASPermissions } = createRequire(join(folder, 'package.json'))(
  '@azure/storage-blob',
)
const service = BlobServiceClient.fromConnectionString(connectionString)

for (const { name, access, blobs } of containers) {
  const container = service.getContainerClient(name)
  await container.createIfNotExists({ access })
  for (const { name: blob, file } of blobs) await container.getBlockBlobClient(blob).uploadFile(file)
}

/** Without the question mark, as the portal shows it. */
async function signatureFor({ container, blob, permissions, expiresInSeconds }) {
  const client = service.getContainerClient(container)
  const expiresOn = new Date(Date.now() + 1000 * expiresInSeconds)
  const url =
    blob === undefined
      ? await client.generateSasUrl({ permissions: ContainerSASPermissions.parse(permissions), expiresOn })
      : await client
          .getBlobClient(blob)
          .generateSasUrl({ permissions: BlobSASPermissions.parse(permissions), expiresOn })
  return new URL(url).search.slice(1)
}

console.log(JSON.stringify(await Promise.all((signatures ?? []).map(signatureFor))))
