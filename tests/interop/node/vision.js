// The package @google-cloud/vision, unmodified, over the transport named on the command line: rest or grpc. Prints JSON.
'use strict';
const {ImageAnnotatorClient} = require('@google-cloud/vision').v1;
const {OAuth2Client} = require('google-auth-library');

function client(transport) {
  if (transport === 'rest') {
    const url = new URL(process.env.VISION_EMULATOR_REST_URL);
    const authClient = new OAuth2Client();
    authClient.setCredentials({access_token: 'a-token-that-means-nothing'});
    return new ImageAnnotatorClient({fallback: true, protocol: 'http', apiEndpoint: url.hostname, port: Number(url.port), authClient});
  }
  const [apiEndpoint, port] = process.env.VISION_EMULATOR_HOST.split(':');
  const {grpc} = require('google-gax');
  return new ImageAnnotatorClient({apiEndpoint, port: Number(port), sslCreds: grpc.credentials.createInsecure()});
}

async function main() {
  const annotator = client(process.argv[2]);
  const features = [{type: 'TEXT_DETECTION'}];
  const [submitted] = await annotator.asyncBatchAnnotateImages({
    parent: 'projects/p',
    requests: ['a.png', 'b.png'].map(name => ({image: {source: {imageUri: `gs://photos/${name}`}}, features})),
    outputConfig: {gcsDestination: {uri: 'gs://out/vision/'}, batchSize: 1},
  });
  const [response, metadata] = await submitted.promise();
  const resumed = await annotator.checkAsyncBatchAnnotateImagesProgress(submitted.name);
  const [online] = await annotator.batchAnnotateImages({requests: [{image: {content: Buffer.from('inline')}, features}]});
  const refused = await annotator.batchAnnotateImages({requests: []}).catch(error => error);
  console.log(JSON.stringify({
    name: submitted.name, response, state: metadata.state, resumed: resumed.done,
    online: online.responses[0].textAnnotations[0].description, refused: [refused.code, refused.message],
  }));
  await annotator.close();
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
