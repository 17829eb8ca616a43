package simulator

// AWSFrame is the frame of an event.
func AWSFrame(name, payload string) string {
	return string(awsFrame(event{name: name, data: []byte(payload)}))
}
