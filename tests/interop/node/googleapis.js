// The package googleapis, unmodified: an operation of v1p1beta1 from submit to delete, polled on v1. Prints JSON.
'use strict';
const {google} = require('googleapis');

const rootUrl = process.env.VISION_EMULATOR_REST_URL;
const auth = new google.auth.OAuth2();
auth.setCredentials({access_token: 'a-token-that-means-nothing'});

async function main() {
  const v1p1beta1 = google.vision({version: 'v1p1beta1', rootUrl, auth});
  const v1 = google.vision({version: 'v1', rootUrl, auth});
  const requests = ['a.png', 'missing.png', 'c.png'].map(name => ({
    image: {source: {imageUri: `gs://photos/${name}`}},
    features: [{type: 'TEXT_DETECTION'}],
  }));
  const outputConfig = {gcsDestination: {uri: 'gs://out/node/'}, batchSize: 2};
  const submitted = await v1p1beta1.projects.locations.images.asyncBatchAnnotate({
    parent: 'projects/p/locations/eu',
    requestBody: {requests, outputConfig},
  });
  const name = submitted.data.name;
  let operation;
  do {
    operation = (await v1.projects.locations.operations.get({name})).data;
  } while (!operation.done);
  const listed = (await v1.operations.list({name: 'operations', filter: 'done = true', pageSize: 5})).data;
  // v1 publishes no deletion below projects/; an operation's short name serves.
  await v1.operations.delete({name: name.slice(name.indexOf('operations/'))});
  const missing = await v1.projects.locations.operations.get({name}).catch(error => error);
  const refused = await v1p1beta1.images.asyncBatchAnnotate({requestBody: {requests, outputConfig: {}}, key: 'k'}).catch(error => error);
  const online = (await v1p1beta1.images.annotate({
    fields: 'responses/textAnnotations',
    requestBody: {requests: [{image: {content: Buffer.from('inline').toString('base64')}, features: [{type: 'TEXT_DETECTION'}]}]},
  })).data;
  console.log(JSON.stringify({
    submitted: submitted.data, operation, listed: listed.operations.map(each => each.name), online,
    missing: [missing.status, missing.message], refused: [refused.status, refused.message],
  }));
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
